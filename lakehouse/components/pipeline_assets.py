"""The steps of a batch pipeline as Dagster assets, each with its checks.

Every window is a run of its own (`BackfillPolicy.multi_run()`), so that a failed one can be run again alone. All steps
of a pipeline share one pool, whose limit is the pipeline's `max_active_runs`: it counts runs, whoever started them.
Here: specs and ops. Not here: what a step does (`lakehouse.lake.batch`), jobs and schedules.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from lakehouse.components.failures import typed_failures
from lakehouse.components.resources import LakeResource
from lakehouse.components.workers import mark_worker
from lakehouse.contracts.pipeline import (
    DeliverStep,
    ExtractStep,
    LoadStep,
    PipelineContract,
    Retries,
    Stage,
    Step,
    TransformStep,
    inputs_of,
)
from lakehouse.contracts.window import WHOLE

if TYPE_CHECKING:
    from lakehouse.lake.batch.report import StepReport

PIPELINE_TAG = "lakehouse/pipeline"
_LAYERS = ("bronze", "silver")
DESCRIPTIONS = {
    "extract": "Rows of the window as the source gives them.",
    "transform": "A pure function of the steps above.",
    "load": "What other tools and pipelines read.",
    "deliver": "Goes outside the lake.",
}
TYPED = "typed"


def step_key(pipeline: str, step: str) -> dg.AssetKey:
    """Key of a step's table."""
    return dg.AssetKey(["batch", pipeline, step])


def input_key(pipeline: str, name: str) -> dg.AssetKey:
    """Key of what a step reads: another step, a table of a stream (`silver.sales`), or of another pipeline."""
    schema, dot, table = name.partition(".")
    if not dot:
        return step_key(pipeline, name)
    return dg.AssetKey([schema, table]) if schema in _LAYERS else step_key(schema, table)


def window_in(tags: Mapping[str, str]) -> str:
    """Key of the window that a run works on, by its tags; empty when it has none. A backfill names a range of one."""
    return tags.get("dagster/partition") or tags.get("dagster/asset_partition_range_start", "")


def pool(pipeline: str) -> str:
    """Concurrency pool of a pipeline's runs."""
    return f"batch_{pipeline}"


def partitions_def(contract: PipelineContract) -> dg.TimeWindowPartitionsDefinition | None:
    """The pipeline's windows, complete ones only; None when it has just one."""
    start = contract.start.isoformat()
    if contract.cadence == "daily":
        return dg.DailyPartitionsDefinition(start_date=start, timezone="UTC")
    if contract.cadence == "hourly":
        return dg.HourlyPartitionsDefinition(start_date=f"{start}-00:00", timezone="UTC")
    if contract.cadence == "15min":
        return dg.TimeWindowPartitionsDefinition(
            start=f"{start}-00:00", fmt="%Y-%m-%d-%H:%M", cron_schedule="*/15 * * * *", timezone="UTC"
        )
    return None


def retry_policy(retries: Retries) -> dg.RetryPolicy | None:
    """Dagster's form of `retries:`; None for no retry."""
    if retries.attempts == 0:
        return None
    backoff = {"none": None, "linear": dg.Backoff.LINEAR, "exponential": dg.Backoff.EXPONENTIAL}[retries.backoff]
    return dg.RetryPolicy(
        max_retries=retries.attempts,
        delay=retries.delay.total_seconds(),
        backoff=backoff,
        jitter=dg.Jitter.PLUS_MINUS if retries.jitter else None,
    )


def build_steps(contract: PipelineContract) -> list[dg.AssetsDefinition]:
    """One asset for each step, in the order of the file."""
    return [_build_step(contract, stage, step) for stage, step in contract.steps()]


def _build_step(contract: PipelineContract, stage: Stage, step: Step) -> dg.AssetsDefinition:
    key = step_key(contract.name, step.name)
    sla = contract.sla
    freshness = None
    if sla.ready_by is not None and isinstance(step, LoadStep):
        freshness = dg.FreshnessPolicy.cron(deadline_cron=sla.ready_by, lower_bound_delta=sla.within, timezone="UTC")

    @dg.asset(
        key=key,
        deps=[*(input_key(contract.name, name) for name in inputs_of(step)), *_upstream(step)],
        check_specs=_check_specs(key, step),
        group_name=contract.name,
        description=f"{step.description or DESCRIPTIONS[stage]}\n\n{_how(step)}",
        owners=contract.owners,
        kinds=_kinds(step),
        tags={"stage": stage, **dict.fromkeys(contract.tags, "")},
        metadata=_metadata(contract, step),
        partitions_def=partitions_def(contract),
        backfill_policy=dg.BackfillPolicy.multi_run() if partitions_def(contract) else None,
        retry_policy=retry_policy(contract.retries),
        freshness_policy=freshness,
        code_version=hashlib.sha256(step.model_dump_json().encode()).hexdigest()[:12],
        pool=pool(contract.name),
    )
    def run(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
        # A backfill gives a range, also when it is one window long.
        (window,) = context.partition_keys if partitions_def(contract) else [WHOLE]
        # A backfill's run does not carry the job's tags; with them it is found whoever started it.
        mark_worker(context.instance, context.run_id, {PIPELINE_TAG: contract.name})
        with typed_failures(context):
            report = lake.run_batch_step(contract, step.name, window)
        yield dg.MaterializeResult(asset_key=key, metadata=_figures(report))
        yield from _results(key, report)

    return run


def _check_specs(key: dg.AssetKey, step: Step) -> list[dg.AssetCheckSpec]:
    if isinstance(step, DeliverStep):
        return []
    specs = [
        dg.AssetCheckSpec(
            check.name, asset=key, blocking=check.severity == "error", description=check.description or check.sql
        )
        for check in step.checks
    ]
    if isinstance(step, ExtractStep):
        specs.append(dg.AssetCheckSpec(TYPED, asset=key, description="Every value is of its column's type."))
    return specs


def _results(key: dg.AssetKey, report: "StepReport") -> Iterator[dg.AssetCheckResult]:
    for check in report.checks:
        severity = dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=check.name,
            passed=check.passed,
            severity=severity,
            description=f"{check.broken} of {check.rows} rows" if check.broken else None,
            metadata={"rows": check.rows, "broken": check.broken, "partition": report.partition},
        )


def _figures(report: "StepReport") -> dict[str, Any]:
    figures: dict[str, Any] = {"rows": report.rows, "seconds": round(report.seconds, 3)}
    if report.stage == "deliver":
        return {"seconds": figures["seconds"], **{name: _value(value) for name, value in report.details.items()}}
    if report.delta_version is not None:
        figures["delta_version"] = report.delta_version
    if report.stage == "extract":
        figures["rejected"] = report.rejected
    return figures


def _value(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else dg.MetadataValue.json(value)


def _upstream(step: Step) -> list[dg.AssetKey]:
    names = step.upstream if isinstance(step, ExtractStep) else []
    return [dg.AssetKey(["upstream", *name.split("/")]) for name in names]


def _kinds(step: Step) -> set[str]:
    return {"python"} if isinstance(step, DeliverStep) else {"spark", "deltalake"}


def _how(step: Step) -> str:
    if isinstance(step, ExtractStep):
        by_way = f" by way of topic `{step.topic}`" if step.topic else ""
        return f"From `{step.function or step.table or step.files}`{by_way}."
    if isinstance(step, TransformStep):
        return f"```sql\n{step.sql.strip()}\n```" if step.sql is not None else f"By `{step.function}`."
    if isinstance(step, LoadStep):
        by = f" by {', '.join(step.key)}" if step.key else ""
        return f"Of `{step.input}`; strategy `{step.strategy}`{by}."
    return f"By `{step.function}`."


def _metadata(contract: PipelineContract, step: Step) -> dict[str, Any]:
    if isinstance(step, DeliverStep):
        return {}
    metadata: dict[str, Any] = {"dagster/table_name": f"batch.{contract.name}.{step.name}"}
    if isinstance(step, LoadStep):
        metadata["strategy"] = step.strategy
    return metadata
