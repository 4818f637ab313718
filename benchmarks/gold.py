"""What a refresh of gold costs when a little is new, beside computing all of it: ten thousand sales in ten million.

Here: silver of a lake of its own, filled without Spark, and builds of gold on it. Not here: how silver comes about.
"""

import time
from itertools import count, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from deltalake import write_deltalake

from benchmarks.figures import Figure
from benchmarks.workbench import Workbench
from lakehouse.contracts.load import load_stream
from lakehouse.engine.duck import delta_connection, duck_connection, duck_type, literal
from lakehouse.lake.gold.builds import GoldReport, build, require_gold
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings, load_settings
from lakehouse.sources.sales import SalesGenerator

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAYS = 100
NEW_ROWS = 10_000
_PASSES = 3
_DAY = 86_400


def measure(bench: Workbench) -> list[Figure]:
    """Seconds of a build of everything and of builds after new rows had come, and their ratio."""
    rows = bench.sizes.fact
    with TemporaryDirectory(prefix="lakehouse-bench-gold-") as folder, delta_connection() as connection:
        settings = load_settings(LAKEHOUSE_HOME=folder, LAKEHOUSE_ROOT=str(Path(folder) / "lake"))
        silver = LakePaths.of(settings).silver("sales")
        bench.say(f"gold: {rows:,} sales in {DAYS} event dates")
        _one_day(connection, Path(folder) / "day.json", rows // DAYS)
        for day in range(DAYS):
            _append(connection, silver, rows // DAYS, days_ago=day)
        bench.say("gold: all of it")
        whole = _build(settings, "full", rows)
        refreshes = []
        for number in range(1, _PASSES + 1):
            bench.say(f"gold: {NEW_ROWS:,} rows more")
            _append(connection, silver, NEW_ROWS)
            refreshes.append(_build(settings, "incremental", rows + number * NEW_ROWS).seconds)
    refresh = median(refreshes)
    return [
        Figure("gold_full_seconds", f"gold of {rows:,} sales, all of it", whole.seconds, "s", "lower"),
        Figure("gold_refresh_seconds", f"the same after {NEW_ROWS:,} rows more", refresh, "s", "lower"),
        Figure(
            "gold_refresh_share",
            "refresh ÷ all of it",
            refresh / whole.seconds,
            "x",
            "lower",
            target=0.2,
            note=f"{DAYS} event dates, the rows are new in one; {whole.models} models and {whole.tests_passed} tests; "
            f"refreshes of {', '.join(f'{seconds:.1f}' for seconds in refreshes)} s",
        ),
    ]


def _one_day(connection: "DuckDBPyConnection", file: Path, rows: int) -> None:
    """Make the table `day`: today's sales as the simulation sends them, spread over the day."""
    midnight = time.time() // _DAY * _DAY
    ticks = count()
    events = SalesGenerator(seed=1, now=lambda: midnight + next(ticks) * _DAY / rows)
    with file.open("wb") as lines:
        lines.writelines(event.value + b"\n" for event in islice(events, rows))
    columns = ", ".join(f"{field.name}: '{duck_type(field.type)}'" for field in load_stream("sales").fields)
    connection.execute(
        f"create table day as from read_json({literal(str(file))}, format = 'nd', columns = {{{columns}}})"
    )


def _append(connection: "DuckDBPyConnection", silver: str, rows: int, *, days_ago: int = 0) -> None:
    """Append the first rows of the day, as orders of their own, to silver."""
    moment = f"sale_timestamp - interval {days_ago} day"
    made = connection.execute(
        f"select * replace (cast(uuid() as varchar) as order_id, {moment} as sale_timestamp),"
        f" cast({moment} as date) as event_date from day limit {rows}"
    )
    write_deltalake(silver, made.fetch_record_batch(), mode="append", partition_by=["event_date", "category"])


def _build(settings: Settings, mode: str, rows: int) -> GoldReport:
    report = build(settings)
    assert report.published, report.failures
    assert report.mode == mode
    with duck_connection(require_gold(settings), read_only=True) as gold:
        assert gold.execute("select count(*) from fct_sales").fetchall() == [(rows,)]
    return report
