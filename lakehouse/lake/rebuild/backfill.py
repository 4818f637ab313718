"""Whole days: silver of an event date recomputed from bronze.

Here: the second way to fill silver; its result equals the first (`lake.silver`). Not here: choosing days, bronze of an
arrival day (`lake.repair.bronze_day`).
"""

import json
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import connect, expect_rows, materialised, spark_errors
from lakehouse.lake.decisions import judge_as_decided
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.guards.durable import settled
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.guards.locks import exclusive, silver_lock
from lakehouse.lake.history import held_through, rebuild
from lakehouse.lake.ledger import current_version, last_plan, merged_through, offsets_read
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.plan import Plan
from lakehouse.lake.rebuild.rejects import quarantine_failing, release_passing
from lakehouse.lake.reports import DayReport
from lakehouse.lake.schema.retained import closed_before
from lakehouse.lake.schema.tables import ensure_tables
from lakehouse.quality.rules import date_list
from lakehouse.settings import Settings
from lakehouse.transforms.events import slim, valid_rows, where_judged
from lakehouse.transforms.winners import winner_per_key

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LOCK_SECONDS = 900.0


def rebuild_silver(
    contract: StreamContract,
    settings: Settings,
    days: list[date],
    report: Callable[[DayReport], None] = lambda _: None,
) -> list[DayReport]:
    """Recompute event dates of silver from bronze and replace exactly those partitions, one commit per date.

    A `cdc` stream has one row per key, whose date moves: whatever the days, its whole table is replaced in one commit.
    A history is made anew as a whole, after silver.

    Records that arrived in bronze but are not merged yet are left to the drain, which may have reason not to take them.
    What the contract of today rejects of a date goes to quarantine, and what it passes leaves it. No merge can fall
    between the read and the commit of a day: both hold the stream's lock, and Dagster's pool keeps hosts apart.

    Raises:
        SparkUnreachableError: Spark went away; days already reported are done.
    """
    paths = LakePaths.of(settings)
    require_lake(settings)
    spark = connect(settings.spark_remote)
    done: list[DayReport] = []
    try:
        with exclusive(silver_lock(settings, contract.name), _LOCK_SECONDS):
            ensure_tables(spark, contract, paths)
        expect_rows(spark, offsets_read(paths.bronze(contract.name)))
        for some in [days] if contract.is_cdc else [[day] for day in days]:
            lock = exclusive(silver_lock(settings, contract.name), _LOCK_SECONDS)
            with lock, settled(settings, paths.quarantine(contract.name), paths.silver(contract.name)):
                fresh = rebuild_days(spark, contract, paths, some)
            done += fresh
            for entry in fresh:
                report(entry)
        if contract.keeps_history and last_plan(paths.bronze(contract.name)) is not None:
            with exclusive(silver_lock(settings, contract.name), _LOCK_SECONDS):
                through = max(merged_through(paths.silver(contract.name)), held_through(paths.history(contract.name)))
                rebuild(spark, contract, paths, through)
    finally:
        spark.stop()
        write_facts(paths, [_fact(entry) for entry in done])
    return done


@again_after_conflict
def rebuild_days(
    spark: "SparkSession", contract: StreamContract, paths: LakePaths, days: list[date]
) -> list[DayReport]:
    """Replace what must be replaced at once, in one commit: a day's partition, or the whole table of a `cdc` stream.

    The caller holds the stream's silver lock.
    """
    began = time.monotonic()
    known = last_plan(paths.bronze(contract.name))
    silver = paths.silver(contract.name)
    if known is None:
        note = "bronze is empty; nothing to do"
        return [DayReport(contract.name, day, 0, time.monotonic() - began, note) for day in days]
    closed = closed_before(contract, paths)
    kept = [day for day in days if closed is not None and day < closed]
    if kept:
        note = f"kept as it is: its records in bronze were deleted by retention (event dates before {closed})"
        reports = [DayReport(contract.name, day, 0, 0.0, note) for day in kept]
        rest = [day for day in days if day not in kept]
        return [*reports, *(rebuild_days(spark, contract, paths, rest) if rest else [])]
    through = merged_through(silver)
    metadata = {
        "kind": "backfill",
        "stream": contract.name,
        "days": [day.isoformat() for day in days],
        "merged_through": through,
    }
    listed = f"event_date IN ({date_list(days)})"
    with spark_errors():
        judged = _judged_of_days(spark, contract, paths, known[0], through, days)
        # Quarantine has what silver loses before silver loses it, and loses what silver has after.
        quarantine_failing(spark, contract, paths, judged.where("_broken != ''"))
        rows_of_days = winner_per_key(valid_rows(judged, contract), contract)
        writer = rows_of_days.write.format("delta").mode("overwrite")
        if not contract.is_cdc:
            writer = writer.option("replaceWhere", listed)
        writer.option("userMetadata", json.dumps(metadata)).save(silver)
        release_passing(spark, contract, paths, judged.where("_broken = ''"))
        groups = spark.read.format("delta").load(silver).where(listed).groupBy("event_date").count().collect()
    rows = {group["event_date"]: group["count"] for group in groups}
    whole = "the whole table, " if contract.is_cdc else ""
    return [
        DayReport(
            stream=contract.name,
            day=day,
            rows=rows.get(day, 0),
            seconds=(time.monotonic() - began) / len(days),
            note=f"{whole}recomputed from bronze through batch {through}",
            delta_version=current_version(silver),
        )
        for day in days
    ]


def _judged_of_days(
    spark: "SparkSession", contract: StreamContract, paths: LakePaths, newest: Plan, through: int, days: list[date]
) -> "DataFrame":
    """Every merged record of these event dates, or of a `cdc` stream, judged by the contract of today; kept."""
    bronze = spark.read.format("delta").load(paths.bronze(contract.name)).where(f"batch <= {through}")
    if contract.is_cdc:
        return materialised(slim(judge_as_decided(bronze, contract, newest.generations, paths), contract))
    arrived = bronze.where(" OR ".join(f"({arrival_window(contract, day)})" for day in days))
    judged = where_judged(
        judge_as_decided(arrived, contract, newest.generations, paths), f"event_date IN ({date_list(days)})"
    )
    return materialised(slim(judged, contract))


def arrival_window(contract: StreamContract, day: date) -> str:
    """SQL: the arrival days on which an event of this date can have come, as the contract's lateness allows."""
    first = day - timedelta(days=1) - contract.lateness.future
    condition = f"arrival_date >= DATE'{first}'"
    if contract.lateness.past is not None:
        last = day + timedelta(days=2) + contract.lateness.past
        condition += f" AND arrival_date <= DATE'{last}'"
    return condition


def _fact(report: DayReport) -> Fact:
    details = {"day": report.day.isoformat(), "note": report.note, "delta_version": report.delta_version}
    return Fact(report.stream, "silver", "backfill", rows=report.rows, seconds=report.seconds, details=details)
