"""When a batch pipeline runs by itself: each tick asks for the window that has just ended.

The window comes from the tick's own time, never from the clock at which the tick is handled: a late scheduler asks for
the same windows. Here: the schedule. Not here: windows that no tick asked for (`pipeline_sensors`).
"""

from datetime import datetime
from typing import Any

import dagster as dg

from lakehouse.components.pipeline_assets import PIPELINE_TAG, partitions_def
from lakehouse.components.resources import LakeResource
from lakehouse.contracts.functions import function_named
from lakehouse.contracts.pipeline import PipelineContract
from lakehouse.contracts.window import last_key_ended, window_of

SCHEDULED_TAG = "lakehouse/scheduled"


def build_schedule(contract: PipelineContract, job: Any) -> dg.ScheduleDefinition | None:
    """Schedule `<pipeline>_schedule` in UTC; None when the pipeline has no `schedule`."""
    if contract.schedule is None:
        return None

    @dg.schedule(
        name=f"{contract.name}_schedule",
        job=job,
        cron_schedule=contract.schedule,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if contract.switched_on else dg.DefaultScheduleStatus.STOPPED,
        description=contract.description,
        tags={PIPELINE_TAG: contract.name, **dict.fromkeys(contract.tags, "")},
    )
    def schedule(context: dg.ScheduleEvaluationContext, lake: LakeResource) -> dg.RunRequest | dg.SkipReason:
        wanted = request_at(contract, context.scheduled_execution_time)
        if isinstance(wanted, dg.RunRequest) and wanted.partition_key is not None:
            reason = lake.nothing_new(contract, wanted.partition_key)
            if reason:
                return dg.SkipReason(f"{wanted.partition_key}: {reason}")
        return wanted

    return schedule


def request_at(contract: PipelineContract, moment: datetime) -> dg.RunRequest | dg.SkipReason:
    """What a tick at this moment asks for: the last window that has ended by then, unless the gate is closed."""
    tags = {PIPELINE_TAG: contract.name, SCHEDULED_TAG: moment.isoformat()}
    if partitions_def(contract) is None:
        return dg.RunRequest(run_key=moment.isoformat(), tags=tags)
    key = last_key_ended(contract.cadence, contract.start, moment)
    if key is None:
        return dg.SkipReason(f"No window of {contract.name} has ended yet; the first starts on {contract.start}.")
    if contract.gate is not None:
        reason = function_named(contract.gate)(window_of(contract.cadence, key, contract.start))
        if reason:
            return dg.SkipReason(f"{key}: {reason}")
    return dg.RunRequest(run_key=key, partition_key=key, tags=tags)
