"""The batch layer: precomputed views of whole days, from silver as it is now, each date written anew as a whole.

Here: `daily_agg`, which days it holds and which of them are old. Not here: the speed layer (`lake.speed`), putting both
together (`lake.serving.view`). Silver is a function of bronze, so the views can be computed again from raw data at any
time.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path

from lakehouse.engine.duck import delta_connection
from lakehouse.engine.spark import connect, spark_errors
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.gold.build_plan import date_fingerprints, latest_version
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.guards.durable import settle
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.guards.locks import exclusive, lake_lock
from lakehouse.lake.ledger import last_commit_of
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.schema.tables import STATS_COLUMNS, create_table
from lakehouse.quality.rules import date_list
from lakehouse.settings import Settings

STREAM = "user_events"
VIEW = "daily_agg"
COLUMNS = {
    "user_id": "string",
    "event_type": "string",
    "event_count": "bigint",
    "total_revenue": "decimal(22,2)",
    "last_event": "timestamp",
    "date": "date",
}
# A day counts as complete two hours after its end: at 02:00 UTC, when the nightly run computes it.
SETTLES_AFTER = timedelta(hours=2)
KIND = "batch"
_LOCK_SECONDS = 900.0


@dataclass(frozen=True)
class BatchRecord:
    """Which days the batch view holds, as its last commit tells.

    Attributes:
        first: The earliest day that silver had.
        days: Day (ISO) → fingerprint of silver's files of that day when it was computed; empty for a day without any.
        complete: Days (ISO) that were computed after they had settled.
    """

    first: date
    days: dict[str, str]
    complete: frozenset[str]

    @property
    def boundary(self) -> date | None:
        """The last complete day: it and every day since the first are in the view. None when there is none yet."""
        day = self.first
        while day.isoformat() in self.complete:
            day += timedelta(days=1)
        return None if day == self.first else day - timedelta(days=1)


@dataclass(frozen=True)
class DailyAggReport:
    """What one build wrote."""

    days: list[date]
    rows: int
    seconds: float
    delta_version: int
    boundary: date | None


def batch_lock(settings: Settings) -> Path:
    """The lock of whoever writes the batch view."""
    return lake_lock(settings, f"batch-{VIEW}")


def is_settled(day: date, now: datetime) -> bool:
    """Whether the day ended long enough ago."""
    return now >= datetime.combine(day + timedelta(days=1), clock(), UTC) + SETTLES_AFTER


def record_of(paths: LakePaths) -> BatchRecord | None:
    """The batch view's record; None when it was never built."""
    commit = last_commit_of(paths.batch_view(VIEW), KIND)
    if commit is None:
        return None
    known = commit.metadata
    return BatchRecord(date.fromisoformat(known["first"]), dict(known["days"]), frozenset(known["complete"]))


def stale_days(settings: Settings, *, now: datetime | None = None) -> list[date]:
    """Settled days that the view lacks, or whose silver changed since they were computed; oldest first."""
    paths = LakePaths.of(settings)
    silver = paths.silver(STREAM)
    if not table_exists(silver):
        return []
    with delta_connection() as duck:
        dates = date_fingerprints(duck, silver, latest_version(silver))
    moment, record = now or datetime.now(UTC), record_of(paths)
    known = {} if record is None else {day: mark for day, mark in record.days.items() if day in record.complete}
    found = []
    day = min((date.fromisoformat(day) for day in dates), default=None)
    while day is not None and is_settled(day, moment):
        if known.get(day.isoformat()) != dates.get(day.isoformat(), ""):
            found.append(day)
        day += timedelta(days=1)
    return found


def build_daily_agg(settings: Settings, days: Iterable[date], *, now: datetime | None = None) -> DailyAggReport:
    """Compute these days from silver and replace exactly them, in one commit.

    Raises:
        SparkUnreachableError: Spark went away; nothing was written.
    """
    require_lake(settings)
    paths = LakePaths.of(settings)
    with exclusive(batch_lock(settings), _LOCK_SECONDS):
        report = _build(settings, paths, sorted(set(days)), now or datetime.now(UTC))
    fact = Fact(
        STREAM,
        "batch",
        VIEW,
        rows=report.rows,
        seconds=report.seconds,
        details={"days": [day.isoformat() for day in report.days], "delta_version": report.delta_version},
    )
    write_facts(paths, [fact])
    return report


@again_after_conflict
def _build(settings: Settings, paths: LakePaths, days: list[date], now: datetime) -> DailyAggReport:
    began = time.monotonic()
    silver, view = paths.silver(STREAM), paths.batch_view(VIEW)
    if not days or not table_exists(silver):
        return DailyAggReport([], 0, time.monotonic() - began, -1, None)
    version = latest_version(silver)
    with delta_connection() as duck:
        dates = date_fingerprints(duck, silver, version)
    record = _with(record_of(paths), days, dates, now)
    about = {
        "kind": KIND,
        "view": VIEW,
        "silver_version": version,
        "first": record.first.isoformat(),
        "days": record.days,
        "complete": sorted(record.complete),
    }
    spark = connect(settings.spark_remote)
    try:
        with spark_errors():
            create_table(view, COLUMNS, ["date", "event_type"], {STATS_COLUMNS: "user_id"})
            spark.read.format("delta").option("versionAsOf", version).load(silver).createOrReplaceTempView("_events")
            rows = spark.sql(
                "SELECT user_id, event_type, count(*) AS event_count,"  # noqa: S608 - dates and our own names
                " cast(sum(coalesce(revenue, 0)) AS decimal(22,2)) AS total_revenue, max(event_time) AS last_event,"
                f" event_date AS date FROM _events WHERE event_date IN ({date_list(days)})"
                " GROUP BY user_id, event_type, event_date"
            )
            (
                rows.select(*COLUMNS)
                .write.format("delta")
                .mode("overwrite")
                .partitionBy("date", "event_type")
                .option("replaceWhere", f"date IN ({date_list(days)})")
                .option("userMetadata", json.dumps(about))
                .save(view)
            )
    finally:
        spark.stop()
    commit = last_commit_of(view, KIND)
    if commit is not None:
        settle(view, commit, settings)
    written = int(commit.metrics.get("numOutputRows", 0)) if commit else 0
    return DailyAggReport(days, written, time.monotonic() - began, commit.version if commit else -1, record.boundary)


def _with(record: BatchRecord | None, days: list[date], dates: dict[str, str], now: datetime) -> BatchRecord:
    """The record after these days are computed."""
    first = min([date.fromisoformat(day) for day in dates] + ([record.first] if record else []), default=days[0])
    marks = dict(record.days) if record else {}
    complete = set(record.complete) if record else set()
    for day in days:
        marks[day.isoformat()] = dates.get(day.isoformat(), "")
        if is_settled(day, now):
            complete.add(day.isoformat())
        else:
            complete.discard(day.isoformat())
    return BatchRecord(first, marks, frozenset(complete))
