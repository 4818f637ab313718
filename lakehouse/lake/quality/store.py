"""The Delta tables below `quality/`: results of checks, statistics that anomalies are learned from. Each row once.

Here: their schemas, adding rows, reading them back. Not here: what the rows say (`lakehouse.quality`).
Written only by delta-rs, without a JVM, like `ops/events`; nothing about the lake's own tables is decided by them.
"""

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from lakehouse.engine.storage import storage_error
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.quality.results import CheckResult

if TYPE_CHECKING:
    import pyarrow as pa

_ATTEMPTS = 5
# pyarrow's name of each column's type.
RESULTS = {
    "id": "string", "day": "date32", "checked_at": "timestamp", "run": "string", "source": "string",
    "table_name": "string",
    "check_name": "string", "dimension": "string", "severity": "string", "passed": "bool_", "rows": "int64",
    "broken": "int64", "observed": "float64", "low": "float64", "high": "float64", "message": "string",
    "details": "string",
}  # fmt: skip
STATISTICS = {
    "id": "string", "day": "date32", "slot": "timestamp", "stream": "string", "statistic": "string",
    "field": "string", "value": "float64", "details": "string",
}  # fmt: skip


class Statistic(NamedTuple):
    """One figure of one stream in one slot of time: what a later one is compared with."""

    stream: str
    slot: Any
    statistic: str
    field: str
    value: float
    details: str = ""


def write_results(paths: LakePaths, results: Iterable[CheckResult]) -> int:
    """Add results that the table does not have yet, in one commit; returns how many were new.

    Raises:
        DiskFullError, SetupError: when they cannot be written.
    """
    return add_once(paths.quality_results, [result.as_row() for result in results], RESULTS)


def write_statistics(paths: LakePaths, statistics: Iterable[Statistic]) -> int:
    """Add statistics that the table does not have yet; the first one of a slot stays."""
    from lakehouse.quality.results import stable_id

    rows = [
        {
            "id": stable_id(s.stream, s.slot.isoformat(), s.statistic, s.field),
            "day": s.slot.date(),
            **s._asdict(),
        }
        for s in statistics
    ]
    return add_once(paths.quality_statistics, rows, STATISTICS)


def add_once(path: str, rows: list[dict[str, Any]], columns: dict[str, str]) -> int:
    """Add the rows whose `id` the table has not, partitioned by `day`; safe to repeat and to do from several writers.

    Raises:
        DiskFullError, SetupError: when they cannot be written.
    """
    if not rows:
        return 0
    from deltalake import DeltaTable
    from deltalake.exceptions import CommitFailedError, DeltaError

    unique = list({row["id"]: row for row in rows}.values())
    source = _arrow(unique, columns)
    days = ", ".join(f"'{day}'" for day in sorted({row["day"].isoformat() for row in unique}))
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            if not table_exists(path):
                # Made empty and filled as any other: two writers may meet here too.
                DeltaTable.create(path, schema=_arrow([], columns).schema, mode="ignore", partition_by=["day"])
            merge = DeltaTable(path).merge(
                source,
                predicate=f"t.day IN ({days}) AND t.day = s.day AND t.id = s.id",
                source_alias="s",
                target_alias="t",
            )
            done = merge.when_not_matched_insert_all().execute()
            return int(done["num_target_rows_inserted"])
        except CommitFailedError:
            if attempt == _ATTEMPTS:
                raise
        except (OSError, DeltaError) as error:
            refused = storage_error(error)
            if refused is None:
                raise
            raise refused from error
    raise AssertionError("the last attempt returns or raises")


def read_rows(path: str, where: str = "true", values: Iterable[Any] = (), *, order: str = "") -> list[dict[str, Any]]:
    """Rows of one of these tables; none when it does not exist. `where` is DuckDB's SQL with `?` for the values."""
    if not table_exists(path):
        return []
    from lakehouse.engine.duck import delta_connection

    with delta_connection() as duck:
        query = f"select * from delta_scan(?) where {where} {f'order by {order}' if order else ''}"  # noqa: S608 - own
        answer = duck.execute(query, [path, *values])
        names = [column[0] for column in answer.description or []]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def results_since(paths: LakePaths, day: date, *, run: str | None = None) -> list[dict[str, Any]]:
    """Results from this UTC day on, oldest first; of one run when it is named."""
    where, values = "day >= ?", [day]
    if run is not None:
        where, values = f"{where} and run = ?", [day, run]  # type: ignore[list-item]
    return read_rows(paths.quality_results, where, values, order="checked_at, table_name, check_name")


def results_table(results: Iterable[CheckResult]) -> "pa.Table":
    """Results as an Arrow table, with the columns of `quality/results`."""
    return _arrow([result.as_row() for result in results], RESULTS)


def _arrow(rows: list[dict[str, Any]], columns: dict[str, str]) -> "pa.Table":
    import pyarrow as pa

    kinds = {name: pa.timestamp("us", tz="UTC") if kind == "timestamp" else None for name, kind in columns.items()}
    schema = pa.schema([(name, kinds[name] or getattr(pa, kind)()) for name, kind in columns.items()])
    return pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows], schema=schema)
