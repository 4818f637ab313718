"""How a stream's rules fare on given days, counted out of silver and quarantine in one pass each.

Here: numbers per rule. Not here: what is blocked by them (`components`), judging single rows (`transforms.events`).
"""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Severity
from lakehouse.engine.duck import lasting_delta_connection
from lakehouse.engine.spark import MANY_ROWS_ONCE, connect, expect_rows, spark_errors
from lakehouse.lake.ledger import offsets_read
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.quality.rules import (
    DEFAULT_TOLERANCE,
    MALFORMED,
    MALFORMED_AVRO,
    NO_ROW_IMAGE,
    NO_VALUE,
    NOT_AVRO,
    NOT_UTF8,
    TRUNCATED,
    UNKNOWN_OP,
    UNKNOWN_SCHEMA,
    on_days,
    rejecting_conditions,
    warning_conditions,
)
from lakehouse.settings import Settings
from lakehouse.transforms.events import current_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_UNREADABLE = {
    MALFORMED: "The value is a JSON object.",
    NOT_UTF8: "The value is UTF-8 text.",
    NO_VALUE: "The record has a value.",
}
_UNREADABLE_AVRO = {
    NOT_AVRO: "The value names a schema, in Confluent's wire format.",
    UNKNOWN_SCHEMA: "The schema that the value names is known.",
    MALFORMED_AVRO: "The value is a record of the schema that it names.",
}
_NO_CHANGE = {
    MALFORMED: _UNREADABLE[MALFORMED],
    NOT_UTF8: _UNREADABLE[NOT_UTF8],
    UNKNOWN_OP: "The change is a create, update, delete or snapshot read.",
    NO_ROW_IMAGE: "A change that is no delete carries the row.",
    TRUNCATED: "A truncate is applied only where the contract says so and the record tells its place.",
}


def _reasons(contract: StreamContract) -> dict[str, str]:
    """Why records of this stream can be unreadable."""
    own = _NO_CHANGE if contract.is_cdc else _UNREADABLE
    return own | _UNREADABLE_AVRO if contract.topic.format == "avro" else own


@dataclass(frozen=True)
class RuleResult:
    """One rule on the days asked for.

    Attributes:
        rule: Its name.
        severity: `warn`, `error` or `fail`.
        description: What it demands.
        rows: Rows judged.
        broken: Rows that broke it.
        share: broken / rows; 0 when there are no rows.
        tolerance: Share up to which broken rows do not block gold.
        passed: No row broke it.
        tolerated: The share is within the tolerance.
    """

    rule: str
    severity: Severity
    description: str
    rows: int
    broken: int
    share: float
    tolerance: float
    passed: bool
    tolerated: bool


def evaluate_rules(contract: StreamContract, settings: Settings, days: list[date] | None) -> list[RuleResult]:
    """Count every rule of a stream.

    Args:
        contract: The stream.
        settings: The lake.
        days: Event dates for kept rows, arrival days for rejected ones (a rejected row may have no event date); None
            means all days.

    Raises:
        SparkUnreachableError: nothing could be counted.
    """
    paths = LakePaths.of(settings)
    if not table_exists(paths.silver(contract.name)):
        return []
    spark = connect(settings.spark_remote)
    try:
        with spark_errors():
            expect_rows(spark, offsets_read(paths.bronze(contract.name)), many=MANY_ROWS_ONCE)
            kept, warned = _kept(spark, contract, paths, days)
    finally:
        spark.stop()
    rejected, by_reason = _rejected(contract, paths, days)
    rows = kept + rejected
    results = [
        _result(name, "error", text, rows, by_reason.get(name, 0), DEFAULT_TOLERANCE)
        for name, text in _reasons(contract).items()
    ]
    for condition in rejecting_conditions(contract):
        broken = by_reason.get(condition.name, 0)
        results.append(_result(condition.name, "error", condition.description, rows, broken, condition.tolerance))
    for condition in warning_conditions(contract):
        broken = warned.get(condition.name, 0)
        results.append(_result(condition.name, "warn", condition.description, kept, broken, 1.0))
    for rule in contract.table_rules:
        if rule.kind == "max_reject_share":
            text = f"At most {rule.limit:.0%} of the rows are rejected."
            results.append(_result(rule.name, rule.severity, text, rows, rejected, rule.limit, is_share=True))
        else:
            text = f"At least {rule.limit:g} valid rows."
            missing = max(0, int(rule.limit) - kept)
            results.append(_result(rule.name, rule.severity, text, max(rows, 1), missing, 0.0))
    return results


def _kept(
    spark: "SparkSession", contract: StreamContract, paths: LakePaths, days: list[date] | None
) -> tuple[int, dict[str, int]]:
    conditions = warning_conditions(contract)
    counts = [f"count_if(NOT coalesce({c.holds}, false)) AS `{c.name}`" for c in conditions]
    silver = spark.read.format("delta").load(paths.silver(contract.name)).where(on_days("event_date", days))
    row = current_rows(silver, contract).selectExpr("count(*) AS _rows", *counts).collect()[0]
    return row["_rows"], {c.name: row[c.name] for c in conditions}


def _rejected(contract: StreamContract, paths: LakePaths, days: list[date] | None) -> tuple[int, dict[str, int]]:
    """Rejected records, and how many of them each reason rejected. Counts only, so DuckDB will do, without a JVM."""
    with lasting_delta_connection() as duck:
        groups = duck.execute(
            f"SELECT reasons, count(*) FROM delta_scan(?) WHERE {on_days('arrival_date', days)} GROUP BY 1",  # noqa: S608 - dates only
            [paths.quarantine(contract.name)],
        ).fetchall()
    by_reason: dict[str, int] = {}
    for reasons, count in groups:
        for reason in reasons:
            by_reason[reason] = by_reason.get(reason, 0) + count
    return sum(count for _, count in groups), by_reason


def _result(
    rule: str,
    severity: Severity,
    description: str,
    rows: int,
    broken: int,
    tolerance: float,
    *,
    is_share: bool = False,
) -> RuleResult:
    share = broken / rows if rows else 0.0
    tolerated = share <= tolerance
    return RuleResult(
        rule=rule,
        severity=severity,
        description=description,
        rows=rows,
        broken=broken,
        share=share,
        tolerance=tolerance,
        passed=tolerated if is_share else broken == 0,
        tolerated=tolerated,
    )
