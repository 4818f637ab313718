"""What each published table of gold holds: rows, empty cells, and how much of silver it shows already. No JVM.

Here: counting, and comparing with what was counted before. Not here: totals against silver (`lake.quality.gold`),
what dbt tests before it publishes (`dbt_project/`).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from lakehouse.lake.quality.history import LOOKBACK, NULLS, VOLUME
from lakehouse.lake.quality.store import Statistic, read_rows, write_statistics
from lakehouse.quality.anomalies import Point, judge
from lakehouse.quality.results import CheckResult

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from lakehouse.lake.paths import LakePaths

PREFIX = "gold."
LEAST_REMAINING = 0.5
"""Marts are brought up to date, not emptied: one with less than this share of a day's most rows is worth a look."""
_DAY = timedelta(days=1)
_SHARE_FLOOR = 0.01


@dataclass(frozen=True)
class TableFigures:
    """One table: its rows, and of each column how many have no value."""

    name: str
    rows: int
    nulls: dict[str, int]


class Waiting(NamedTuple):
    """What gold does not show of one table of silver yet.

    Attributes:
        dates: Event dates that silver has (1 for a table without dates).
        unseen: Those that changed since gold was built.
        waits: For how long, by the oldest change.
        allowed: How long they may.
    """

    dates: int
    unseen: int
    waits: timedelta
    allowed: timedelta


History = dict[tuple[str, str, str], list[Point]]


def count_tables(gold: "DuckDBPyConnection", only: str | None = None) -> list[TableFigures]:
    """Count every table that the published file offers, or one of them; one pass over each."""
    listed = gold.execute(
        "select schema_name, table_name, list(column_name order by column_index) from duckdb_columns()"
        " where not internal and not starts_with(table_name, '_') group by all order by table_name"
    ).fetchall()
    found = []
    for schema, table, columns in listed:
        if only not in (None, table):
            continue
        nulls = ", ".join(f'count(*) - count("{column}")' for column in columns)
        counted = gold.execute(f'select count(*), {nulls} from "{schema}"."{table}"').fetchone() or (0,)  # noqa: S608 - names of gold itself
        found.append(TableFigures(table, int(counted[0]), dict(zip(columns, map(int, counted[1:]), strict=True))))
    return found


def keep(paths: "LakePaths", tables: Iterable[TableFigures], *, now: datetime) -> History:
    """Add the figures of this hour to `quality/statistics`, and return those of the hours before, oldest first."""
    slot, found = _slot(now), []
    for table in tables:
        name = PREFIX + table.name
        found.append(Statistic(name, slot, VOLUME, "", float(table.rows)))
        shares = {column: nulls / table.rows for column, nulls in table.nulls.items() if table.rows}
        found += [Statistic(name, slot, NULLS, column, share) for column, share in shares.items()]
    known: History = defaultdict(list)
    where, values = "starts_with(stream, ?) and slot < ? and slot >= ?", [PREFIX, slot, slot - LOOKBACK]
    for row in read_rows(paths.quality_statistics, where, values, order="slot"):
        point = Point(row["slot"].astimezone(UTC), row["value"])
        known[row["stream"].removeprefix(PREFIX), row["statistic"], row["field"]].append(point)
    write_statistics(paths, found)
    return known


def figure_results(table: TableFigures, known: History, waiting: list[Waiting], *, now: datetime) -> list[CheckResult]:
    """The results of one table. `waiting` is about every table of silver that it is made of."""
    return [
        _rows(table, [point for point in known.get((table.name, VOLUME, ""), []) if now - point.at <= _DAY]),
        _completeness(table),
        _null_shares(table, known, now=now),
        *([_timeliness(table, waiting)] if waiting else []),
    ]


def _rows(table: TableFigures, history: list[Point]) -> CheckResult:
    before = int(max(point.value for point in history)) if history else None
    emptied = bool(before) and table.rows == 0
    least = None if before is None else before * LEAST_REMAINING
    text = "not counted within the last day" if before is None else f"up to {before:,} within the last day"
    return CheckResult(
        table=PREFIX + table.name, check="row_count", dimension="volume",
        passed=least is None or table.rows >= least, severity="error" if emptied else "warning",
        rows=table.rows, observed=float(table.rows), low=least, message=f"{table.rows:,} rows, {text}.",
    )  # fmt: skip


def _completeness(table: TableFigures) -> CheckResult:
    """Filled cells of all; what must be filled is enforced by the tables themselves, so this is for the record."""
    cells, empty = table.rows * len(table.nulls), sum(table.nulls.values())
    share = (cells - empty) / cells if cells else 1.0
    return CheckResult(
        table=PREFIX + table.name, check="completeness", dimension="completeness", passed=True, rows=cells,
        broken=empty, observed=share, low=0.0, high=1.0, message=f"completeness {share:.2%}: {empty:,} empty cells.",
        details={"missing": {column: nulls for column, nulls in table.nulls.items() if nulls}},
    )  # fmt: skip


def _null_shares(table: TableFigures, known: History, *, now: datetime) -> CheckResult:
    """The share of nulls of each column against the hours before; silent on short history."""
    said, learning = [], True
    for column, nulls in table.nulls.items() if table.rows else ():
        history = known.get((table.name, NULLS, column), [])
        verdict = judge(
            history, Point(_slot(now), nulls / table.rows), scale="linear", floor=_SHARE_FLOOR, tests=len(table.nulls)
        )
        learning = learning and verdict.state == "learning"
        if verdict.is_unusual:
            said.append(f"{column}: {verdict.observed:.1%} of the rows have no value, usually {verdict.usual:.1%}.")
    silent = "Too little history to say what is usual." if learning else "As usual."
    return CheckResult(
        table=PREFIX + table.name, check="null_shares_as_usual", dimension="distribution", passed=not said,
        severity="warning", rows=len(table.nulls), broken=len(said), message=" ".join(said) or silent,
    )  # fmt: skip


def _timeliness(table: TableFigures, waiting: list[Waiting]) -> CheckResult:
    """Event dates that gold shows as silver has them, or that changed so lately that nobody expects them yet."""
    dates = sum(one.dates for one in waiting)
    late = sum(one.unseen for one in waiting if one.waits > one.allowed)
    longest = max(one.waits for one in waiting)
    share = (dates - late) / dates if dates else 1.0
    text = f"{late:,} of {dates:,} dates of silver are not in gold yet" if late else "gold shows what silver has"
    return CheckResult(
        table=PREFIX + table.name, check="timeliness", dimension="timeliness", passed=not late, severity="warning",
        rows=dates, broken=late, observed=share, low=1.0, high=1.0, message=f"timeliness {share:.2%}: {text}.",
        details={"oldest_change_waits_seconds": round(longest.total_seconds())},
    )  # fmt: skip


def _slot(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
