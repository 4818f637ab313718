"""Completeness, accuracy and timeliness of bronze and silver: shares from 0 to 1, counted by DuckDB, no JVM.

Here: the three families of figures and what each must reach. Not here: rules one by one (`lake.quality.validate`).
"""

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.ledger import merged_through, plans
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.quality.results import CheckResult
from lakehouse.quality.rules import DEFAULT_TOLERANCE, is_required, on_days

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Layer = Literal["bronze", "silver"]
LEAST_ON_TIME = 0.95
"""Share of rows that must be in the table within the contract's `freshness.warn`."""


def measure(contract: StreamContract, paths: LakePaths, layer: Layer, days: list[date] | None) -> list[CheckResult]:
    """The three figures of one table; none when it does not exist.

    Args:
        contract: The stream.
        paths: The lake.
        layer: Which of its tables.
        days: Arrival days for bronze, event dates for silver (UTC); None for the whole table.
    """
    path = paths.bronze(contract.name) if layer == "bronze" else paths.silver(contract.name)
    if not table_exists(path):
        return []
    from lakehouse.engine.duck import delta_connection

    with delta_connection() as duck:
        if layer == "bronze":
            return _bronze(duck, contract, path, days)
        return _silver(duck, contract, paths, days)


def _bronze(
    duck: "DuckDBPyConnection", contract: StreamContract, path: str, days: list[date] | None
) -> list[CheckResult]:
    table = f"bronze.{contract.name}"
    late = _seconds(contract)
    rows, distinct, on_time = _one(
        duck,
        'select count(*), count(distinct (topic_id, "partition", "offset")), '  # noqa: S608 - our own names
        f"count_if(epoch(_ingested_at) - epoch(timestamp) <= {late}) from delta_scan(?) where {on_days('arrival_date', days)}",  # noqa: E501
        path,
    )
    known = [(plan, commit) for plan, commit in plans(path) if days is None or plan.day in days]
    written = sum(int(commit.metrics.get("numOutputRows", 0)) for _, commit in known)
    lost = sum(plan.gap.offsets for plan, _ in known if plan.gap)
    wanted = written + lost
    return [
        _share(table, "completeness", min(rows, wanted), wanted, 1.0, f"{lost:,} offsets are recorded as lost"),
        _share(table, "accuracy", distinct, rows, 1.0, f"{rows - distinct:,} records are there more than once"),
        _share(table, "timeliness", on_time, rows, LEAST_ON_TIME, f"in bronze within {late:g} s", severity="warning"),
    ]


def _silver(
    duck: "DuckDBPyConnection", contract: StreamContract, paths: LakePaths, days: list[date] | None
) -> list[CheckResult]:
    table, path = f"silver.{contract.name}", paths.silver(contract.name)
    late = _seconds(contract)
    nulls = [f'count(*) - count("{name}")' for name in contract.field_names]
    rows, on_time, *missing = _one(
        duck,
        f'select count(*), count_if(epoch(_ingested_at) - epoch("{contract.event_time}") <= {late}), '  # noqa: S608 - our own names
        f"{', '.join(nulls)} from delta_scan(?) where {on_days('event_date', days)} and {is_live(contract)}",
        path,
    )
    by_field = {name: int(count) for name, count in zip(contract.field_names, missing, strict=True) if count}
    required = sum(n for name, n in by_field.items() if is_required(contract, contract.field(name)))
    cells = rows * len(contract.fields)
    arrived = on_days("arrival_date", days)
    (judged,) = _one(
        duck,
        f"select count(*) from delta_scan(?) where {arrived} and batch <= {merged_through(path)}",  # noqa: S608 - our own names
        paths.bronze(contract.name),
    )
    (rejected,) = _one(duck, f"select count(*) from delta_scan(?) where {arrived}", paths.quarantine(contract.name))  # noqa: S608 - our own names
    complete = _share(
        table, "completeness", cells - sum(missing), cells, 0.0, f"{required:,} required values are missing",
        details={"missing": by_field},
    )  # fmt: skip
    return [
        replace(complete, passed=required == 0),
        _share(
            table, "accuracy", judged - min(judged, rejected), judged, 1 - DEFAULT_TOLERANCE,
            f"{rejected:,} of {judged:,} records broke a rule",
        ),
        _share(table, "timeliness", on_time, rows, LEAST_ON_TIME, f"in silver within {late:g} s of the event",
               severity="warning"),
    ]  # fmt: skip


def _share(
    table: str,
    family: Any,
    good: int,
    of: int,
    least: float,
    text: str,
    *,
    severity: Any = "error",
    details: dict[str, Any] | None = None,
) -> CheckResult:
    share = good / of if of else 1.0
    return CheckResult(
        table=table,
        check=family,
        dimension=family,
        passed=share >= least,
        severity=severity,
        rows=of,
        broken=of - good,
        observed=share,
        low=least,
        high=1.0,
        message=f"{family} {share:.2%}: {text}.",
        details=details or {},
    )


def _seconds(contract: StreamContract) -> float:
    return contract.freshness.warn.total_seconds()


def is_live(contract: StreamContract) -> str:
    """DuckDB SQL for "this row of silver is there": a `cdc` stream keeps what was deleted as a mark."""
    return "not _deleted" if contract.is_cdc else "true"


def _one(duck: "DuckDBPyConnection", sql: str, path: str) -> tuple[int, ...]:
    row = duck.execute(sql, [path]).fetchone()
    if row is None:
        raise AssertionError("an aggregate returns one row")
    return tuple(int(cell or 0) for cell in row)
