"""Validation of a stream's tables against its contract: schema, every rule on every row, keys, rejects, the figures.

Here: one table's results. Not here: the hourly run and what it does with them (`lake.quality.hourly`).
"""

from datetime import date
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import MANY_ROWS_ONCE, connect, expect_rows, spark_errors
from lakehouse.errors import LakehouseError
from lakehouse.lake.ledger import offsets_read
from lakehouse.lake.log.columns import columns_of
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.quality.checks import RuleResult, evaluate_rules
from lakehouse.lake.quality.measure import Layer, measure
from lakehouse.lake.quality.standing import bronze_facts
from lakehouse.lake.schema.tables import BRONZE_COLUMNS, silver_types
from lakehouse.quality.results import CheckResult, Severity
from lakehouse.quality.rules import is_required, on_days
from lakehouse.settings import Settings
from lakehouse.transforms.events import current_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_OF_RULE: dict[str, Severity] = {"warn": "warning", "error": "error", "fail": "critical"}


class TableMissingError(LakehouseError):
    """The table that was asked for does not exist yet."""

    code = "TABLE_MISSING"


def validate(
    contract: StreamContract, settings: Settings, layer: Layer, days: list[date] | None = None
) -> list[CheckResult]:
    """Hold one table against the contract.

    Args:
        contract: The stream.
        settings: Lake and Spark.
        layer: Which of its tables.
        days: Arrival days for bronze and rejects, event dates for silver; None for everything.

    Raises:
        TableMissingError: nothing was ever written to it.
        SparkUnreachableError: the question could not be asked.
    """
    paths = LakePaths.of(settings)
    path = paths.bronze(contract.name) if layer == "bronze" else paths.silver(contract.name)
    if not table_exists(path):
        raise TableMissingError(
            f"There is no table {layer}.{contract.name} yet.", fix=f"lakehouse drain {contract.name}"
        )
    spark = connect(settings.spark_remote)
    try:
        with spark_errors():
            expect_rows(spark, offsets_read(paths.bronze(contract.name)), many=MANY_ROWS_ONCE)
            frame = spark.read.format("delta").load(path)
            results = [schema_result(layer, contract, {name: kind.lower() for name, kind in frame.dtypes})]
            if not results[0].passed:
                # Rules would speak of columns that are not there, or of another type.
                return results
            if layer == "silver":
                results += _rows(frame, contract, days)
    finally:
        spark.stop()
    if layer == "silver":
        kept = {rule.name for rule in contract.rules if rule.severity == "warn"}
        counted = evaluate_rules(contract, settings, days)
        results += [_rejects(contract, rule) for rule in counted if rule.rule not in kept]
    else:
        results += _chain(contract, settings, days)
    return [*results, *measure(contract, paths, layer, days)]


def schema_result(layer: Layer, contract: StreamContract, actual: dict[str, str]) -> CheckResult:
    """Names and types of a table's columns against what they must be; columns that were taken out may stay."""
    wanted = silver_types(contract) if layer == "silver" else columns_of(BRONZE_COLUMNS)
    missing = sorted(set(wanted) - set(actual))
    changed = {
        name: {"is": actual[name], "must be": kind}
        for name, kind in wanted.items()
        if name in actual and actual[name] != kind
    }
    extra = sorted(set(actual) - set(wanted))
    said = [f"{name} is missing" for name in missing]
    said += [f"{name} is {types['is']}, must be {types['must be']}" for name, types in changed.items()]
    return CheckResult(
        table=f"{layer}.{contract.name}",
        check="schema",
        dimension="schema",
        passed=not said,
        severity="critical",
        rows=len(wanted),
        broken=len(said),
        message="; ".join(said) + "." if said else f"All {len(wanted)} columns are as the contract says.",
        details={"missing": missing, "changed": changed, "not in the contract": extra},
    )


def _rows(silver: "DataFrame", contract: StreamContract, days: list[date] | None) -> list[CheckResult]:
    """Every rule and every required field on the rows that are there, whoever wrote them, in one pass; and the keys."""
    conditions: dict[str, tuple[str, Severity]] = {
        f"{field.name}_present": (f"`{field.name}` IS NOT NULL", "error")
        for field in contract.fields
        if is_required(contract, field)
    }
    conditions |= {rule.name: (f"coalesce({rule.sql}, false)", _OF_RULE[rule.severity]) for rule in contract.rules}
    live = current_rows(silver, contract)
    looked_at = live.where(on_days("event_date", days))
    counts = [f"count_if(NOT ({holds})) AS `{name}`" for name, (holds, _) in conditions.items()]
    row = looked_at.selectExpr("count(*) AS _rows", *counts).collect()[0]
    keys = ", ".join(f"`{name}`" for name in contract.identity)
    twice = looked_at.selectExpr(f"count(*) - count(DISTINCT {keys}) AS n").collect()[0]["n"]
    table = f"silver.{contract.name}"
    results = [
        CheckResult(
            table=table,
            check=name,
            dimension="completeness" if name.endswith("_present") else "validity",
            passed=row[name] == 0,
            severity=severity,
            rows=row["_rows"],
            broken=row[name],
            observed=float(row[name]),
            high=0.0,
            message=f"{row[name]:,} of {row['_rows']:,} rows break it." if row[name] else "Every row keeps it.",
        )
        for name, (_, severity) in conditions.items()
    ]
    unique = CheckResult(
        table=table,
        check="key_is_unique",
        dimension="uniqueness",
        passed=twice == 0,
        severity="critical",
        rows=row["_rows"],
        broken=twice,
        observed=float(twice),
        high=0.0,
        message=f"{twice:,} rows repeat a key ({', '.join(contract.identity)}).",
    )
    return [*results, unique]


def _rejects(contract: StreamContract, rule: RuleResult) -> CheckResult:
    """How many records a rule kept out of silver: a finding only beyond its tolerance."""
    allowed = 1.0 if rule.severity == "warn" else rule.tolerance
    passed = rule.tolerated if rule.severity != "warn" else rule.passed
    return CheckResult(
        table=f"silver.{contract.name}",
        check=f"rejects_{rule.rule}",
        dimension="accuracy",
        passed=passed,
        severity="warning" if rule.severity == "warn" else "error",
        rows=rule.rows,
        broken=rule.broken,
        observed=rule.share,
        high=allowed,
        message=f"{rule.broken:,} of {rule.rows:,} records ({rule.share:.2%}); tolerated {allowed:.2%}.",
    )


def _chain(contract: StreamContract, settings: Settings, days: list[date] | None) -> list[CheckResult]:
    facts = bronze_facts(contract, settings, days)
    return [
        CheckResult(
            table=f"bronze.{contract.name}",
            check="whole",
            dimension="completeness",
            passed=not facts.breaks,
            severity="critical",
            rows=facts.batches,
            broken=len(facts.breaks),
            message="; ".join(facts.breaks[:5])
            or f"{facts.batches:,} batches, each starts where the one before ended.",
        )
    ]
