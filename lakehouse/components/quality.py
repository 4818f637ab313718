"""The hourly quality run in Dagster: validate every table, write the dated report, send the alerts.

Here: its three assets, its job and schedule, and the checks of what is unusual, which belong to each stream. Not here:
the work (`lakehouse.lake.quality`), alerts of other runs' checks (`components.check_results`).
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from lakehouse.components.failures import typed_failures
from lakehouse.components.resources import LakeResource
from lakehouse.components.tables import RETRY, silver_key
from lakehouse.contracts.model import StreamContract
from lakehouse.lake.quality.unusual import CHECKS

JOB = "data_quality"
RESULTS, REPORT, ALERTS = (dg.AssetKey(["quality", name]) for name in ("results", "report", "alerts"))
_OWNERS = ["team:data-engineering"]


def build_quality_defs(contracts: Mapping[str, StreamContract]) -> dg.Definitions:
    """Assets, job and schedule of the quality run over these streams."""
    tables = [silver_key(contract) for contract in contracts.values()]

    @dg.asset(
        key=RESULTS, deps=tables, group_name="quality", owners=_OWNERS, kinds={"deltalake", "duckdb"},
        retry_policy=RETRY,
        description="Every check of the hourly run on every table, as rows of `quality/results`.",
    )  # fmt: skip
    def results(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        with typed_failures(context):
            found = lake.check_quality(contracts, run=context.run_id, now=_now(context))
        for result in found:
            if result.check in CHECKS:
                context.log_event(
                    dg.AssetCheckEvaluation(
                        asset_key=dg.AssetKey(result.table.split(".")), check_name=result.check, passed=result.passed,
                        severity=dg.AssetCheckSeverity.WARN, description=result.message, metadata=_metadata(result),
                    )
                )  # fmt: skip
        wrong = [result for result in found if result.is_finding]
        for result in wrong:
            context.log.warning("%s %s: %s", result.table, result.check, result.message)
        return dg.MaterializeResult(
            metadata={
                "checks": len(found),
                "findings": len(wrong),
                "warnings": sum(not result.passed for result in found) - len(wrong),
                **{
                    f"{result.table} {result.dimension}".replace(".", "_"): round(result.observed, 6)
                    for result in found
                    if result.check in ("completeness", "accuracy", "timeliness") and result.observed is not None
                },
            }
        )

    @dg.asset(
        key=REPORT, deps=[RESULTS], group_name="quality", owners=_OWNERS, kinds={"html", "parquet"},
        retry_policy=RETRY,
        # Ready by a quarter past every hour.
        freshness_policy=dg.FreshnessPolicy.cron(
            deadline_cron="15 * * * *", lower_bound_delta=timedelta(minutes=15), timezone="UTC"
        ),
        description="The dated report of the run: a page (HTML) and its rows (Parquet) below `reports/quality`.",
    )  # fmt: skip
    def report(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        with typed_failures(context):
            made = lake.report_quality(contracts, run=context.run_id, now=_now(context))
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.path(str(made.page)),
                "rows": dg.MetadataValue.path(str(made.rows)),
            }
        )

    @dg.asset(
        key=ALERTS, deps=[REPORT], group_name="quality", owners=_OWNERS, kinds={"kafka"}, retry_policy=RETRY,
        description="An event on the topic `data-quality-alerts` for every check of the run that found wrong data.",
    )  # fmt: skip
    def alerts(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        with typed_failures(context):
            return dg.MaterializeResult(metadata={"alerts": lake.alert_quality(run=context.run_id, now=_now(context))})

    job = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(RESULTS, REPORT, ALERTS),
        description="Validates every table, writes the report, sends the alerts.",
        executor_def=dg.in_process_executor,
    )
    return dg.Definitions(
        assets=[results, report, alerts],
        jobs=[job],
        schedules=[
            dg.ScheduleDefinition(
                name="data_quality_hourly",
                job=job,
                cron_schedule="0 * * * *",
                execution_timezone="UTC",
                default_status=dg.DefaultScheduleStatus.RUNNING,
                description="Every hour: validate, report, alert.",
            )
        ],
    )


def unusual_check_keys(contract: StreamContract) -> list[dg.AssetCheckKey]:
    """Keys of the checks that learn from history: the hourly run evaluates them, drains do not."""
    return [dg.AssetCheckKey(silver_key(contract), name) for name in CHECKS]


def build_unusual_checks(contract: StreamContract) -> dg.AssetChecksDefinition:
    """Checks of silver that learn from its own history: volume, distribution, freshness."""
    key = silver_key(contract)
    specs = [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in CHECKS.items()]

    @dg.multi_asset_check(name=f"check_unusual_{contract.name}", specs=specs, can_subset=True)
    def check_unusual(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
        wanted = {check.name for check in context.selected_asset_check_keys}
        found = {result.check: result for result in lake.unusual(contract)}
        for name in (name for name in CHECKS if name in wanted):
            result = found.get(name)
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=name,
                passed=result is None or result.passed,
                severity=dg.AssetCheckSeverity.WARN,
                description=result.message if result else "There is no table yet.",
                metadata=_metadata(result) if result else {},
            )

    return check_unusual


def _metadata(result: Any) -> dict[str, Any]:
    """Numbers as numbers, so that Dagster plots them; the sample rows as a table."""
    metadata: dict[str, Any] = {
        name: value
        for name, value in (("observed", result.observed), ("low", result.low), ("high", result.high))
        if value is not None
    }
    metadata["history"] = result.details.get("history", 0)
    sample = result.details.get("sample")
    if sample:
        metadata["sample"] = dg.MetadataValue.table([dg.TableRecord(row) for row in sample])
    return metadata


def _now(context: dg.AssetExecutionContext) -> datetime:
    """The moment that the run stands for: the same for its three steps."""
    record = context.instance.get_run_record_by_id(context.run_id)
    return record.create_timestamp.astimezone(UTC) if record else datetime.now(UTC)
