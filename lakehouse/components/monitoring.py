"""`monitoring_job`: lag, freshness and age of every stream, every ten minutes, on the assets and in `ops/events`.

Here: the job and its schedule. Not here: what is looked at (`lakehouse.lake.monitoring`).
"""

import dataclasses
from collections.abc import Sequence

import dagster as dg

from lakehouse.components.failures import typed_failures
from lakehouse.components.resources import LakeResource
from lakehouse.components.tables import silver_key
from lakehouse.contracts.model import StreamContract


def build_monitoring_schedule(streams: Sequence[StreamContract]) -> dg.ScheduleDefinition:
    """Job `monitoring_job`, every ten minutes."""

    @dg.op(name="observe_streams")
    def observe_streams(context: dg.OpExecutionContext, lake: LakeResource) -> None:
        with typed_failures(context):
            states = lake.observe_streams(list(streams))
        keys = {contract.name: silver_key(contract) for contract in streams}
        for state in states:
            figures = {name: value for name, value in dataclasses.asdict(state).items() if value is not None}
            context.log_event(
                dg.AssetObservation(asset_key=keys[state.stream], description="Monitoring", metadata=figures)
            )
            if state.is_late:
                context.log.warning("%s is late: %d rows wait.", state.stream, state.lag_rows)

    @dg.job(
        name="monitoring_job",
        description="Lag, freshness and age of every stream.",
        executor_def=dg.in_process_executor,
    )
    def job() -> None:
        observe_streams()

    return dg.ScheduleDefinition(
        name="monitoring_schedule",
        job=job,
        cron_schedule="*/10 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every ten minutes: how every stream stands.",
    )
