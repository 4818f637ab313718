"""The quality run: validate every table, judge what is unusual, keep the results, write the dated report.

Here: the steps and their order. Not here: one table's results (`lake.quality.validate`), the page (`quality.report`),
alerts (`lake.monitoring.quality_alerts`), when it runs (`components.quality`).
"""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.embedded.files import write_atomically
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.quality.gold import check_gold
from lakehouse.lake.quality.measure import Layer
from lakehouse.lake.quality.profiles import profile
from lakehouse.lake.quality.store import results_since, write_results
from lakehouse.lake.quality.unusual import look
from lakehouse.lake.quality.validate import validate
from lakehouse.quality.report import Report, html
from lakehouse.quality.results import CheckResult
from lakehouse.settings import Settings

LAYERS: tuple[Layer, ...] = ("bronze", "silver")
RECENT_DAYS = 2
"""The hourly run looks at today and yesterday (UTC); `lakehouse dq validate` at everything unless told otherwise."""


@dataclass(frozen=True)
class Written:
    """A report's two files."""

    page: Path
    rows: Path


def recent_days(now: datetime) -> list[date]:
    """The days that the hourly run looks at."""
    return [(now - timedelta(days=number)).date() for number in range(RECENT_DAYS)]


def check_lake(
    contracts: Iterable[StreamContract],
    settings: Settings,
    *,
    days: list[date] | None,
    now: datetime,
    run: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> list[CheckResult]:
    """Validate every table that exists, judge what is unusual, count gold, and keep all results under one run.

    Args:
        contracts: The streams.
        settings: Lake and Spark.
        days: What to look at; None for everything.
        now: Time of the run (UTC).
        run: Its id; made up when empty.
        say: Told what is being looked at.

    Raises:
        SparkUnreachableError: the rules could not be evaluated.
    """
    paths, run = LakePaths.of(settings), run or str(uuid.uuid4())
    results: list[CheckResult] = []
    streams = list(contracts)
    for contract in streams:
        for layer in LAYERS:
            if table_exists(paths.bronze(contract.name) if layer == "bronze" else paths.silver(contract.name)):
                say(f"{layer}.{contract.name}")
                results += validate(contract, settings, layer, days)
        results += look(contract, settings, now=now)
    say("gold")
    results += check_gold(streams, settings, days=days, now=now)
    named = [result.in_run(run, now) for result in results]
    write_results(paths, named)
    return named


def report_of(
    results: Iterable[CheckResult],
    contracts: Mapping[str, StreamContract],
    settings: Settings,
    *,
    days: list[date] | None,
    now: datetime,
    run: str,
) -> Report:
    """The report on these results, with profiles of silver on the same days."""
    profiles = {name: found for name, contract in contracts.items() if (found := profile(contract, settings, days))}
    named = "all" if days is None else ", ".join(sorted(day.isoformat() for day in days))
    return Report(run, now, named, contracts, list(results), profiles)


def write_report(report: Report, settings: Settings) -> Written:
    """Write `reports/quality/<date>/<time>.html` and `.parquet` below the lake's root, and `latest.html`."""
    import pyarrow.parquet as pq

    from lakehouse.lake.quality.store import results_table

    folder = LakePaths.of(settings).reports / "quality" / f"{report.at:%Y-%m-%d}"
    folder.mkdir(parents=True, exist_ok=True)
    page, rows = folder / f"{report.at:%H%M%S}.html", folder / f"{report.at:%H%M%S}.parquet"
    text = html(report)
    write_atomically(page, text)
    pq.write_table(results_table(report.results), rows)
    write_atomically(folder.parent / "latest.html", text)
    return Written(page, rows)


def results_of_run(settings: Settings, run: str, day: date) -> list[CheckResult]:
    """The results that a run kept, read back."""
    import json

    rows = results_since(LakePaths.of(settings), day, run=run)
    return [
        CheckResult(
            table=row["table_name"],
            check=row["check_name"],
            dimension=row["dimension"],
            passed=row["passed"],
            severity=row["severity"],
            source=row["source"],
            run=row["run"],
            at=row["checked_at"].astimezone(UTC),
            rows=row["rows"],
            broken=row["broken"],
            observed=row["observed"],
            low=row["low"],
            high=row["high"],
            message=row["message"],
            details=json.loads(row["details"]),
        )
        for row in rows
    ]
