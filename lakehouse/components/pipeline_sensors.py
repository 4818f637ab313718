"""Windows that no tick asks for: those missed before a pipeline was switched on, and those that wait for another one.

Here: which windows to ask for, as pure functions over run records, and the sensors. Not here: the schedule's own ticks
(`pipeline_schedules`).
"""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from lakehouse.components.pipeline_assets import PIPELINE_TAG, step_key, window_in
from lakehouse.components.resources import LakeResource
from lakehouse.contracts.pipeline import PipelineContract
from lakehouse.contracts.window import keys_ended, last_key_ended, window_of
from lakehouse.ops.incidents import Incident

CATCH_UP_TAG = "lakehouse/catch_up"
CATCH_UP_SECONDS = 30
LIVE = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_ENDED_BADLY = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
# Windows asked for ahead of those that may run: the queue always has work, and stays short enough to be read.
_AHEAD = 2


def build_catch_up_sensor(contract: PipelineContract, job: Any) -> dg.SensorDefinition | None:
    """Sensor `<pipeline>_catch_up`, only where `catchup` is true: asks for windows that were never run, oldest first.

    It is switched on together with the pipeline: a pipeline that is off does not start to fill years of windows.
    """
    if not contract.catchup:
        return None
    key = step_key(contract.name, contract.load[-1].name)

    @dg.sensor(
        name=f"{contract.name}_catch_up",
        job=job,
        minimum_interval_seconds=CATCH_UP_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING if contract.switched_on else dg.DefaultSensorStatus.STOPPED,
        description=f"Asks for windows of {contract.name} that were never run, from {contract.start} on.",
        tags={PIPELINE_TAG: contract.name},
    )
    def catch_up(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        instance = context.instance
        due = keys_ended(contract.cadence, contract.start, datetime.now(tz=UTC))
        done = instance.get_materialized_partitions(key)
        taken = {
            status: [
                window_in(run.tags)
                for run in instance.get_runs(dg.RunsFilter(tags={PIPELINE_TAG: contract.name}, statuses=list(statuses)))
            ]
            for status, statuses in {"live": LIVE, "bad": _ENDED_BADLY}.items()
        }
        wanted = missing_windows(contract, due, done=done, live=taken["live"], failed=taken["bad"])
        if not wanted:
            return dg.SkipReason(f"{len(due)} windows are due; {len(taken['live'])} runs are on their way.")
        return [
            dg.RunRequest(
                run_key=f"catch-up/{window}",
                partition_key=window,
                tags={PIPELINE_TAG: contract.name, CATCH_UP_TAG: "true"},
            )
            for window in wanted
        ]

    return catch_up


def missing_windows(
    contract: PipelineContract,
    due: Sequence[str],
    *,
    done: Collection[str],
    live: Collection[str],
    failed: Collection[str],
) -> list[str]:
    """Windows to ask for now, oldest first.

    Args:
        contract: The pipeline.
        due: Keys of all windows that have ended, oldest first.
        done: Those whose last table is there.
        live: Those that a run works on or waits for.
        failed: Those whose run failed; a person decides about them, they are not asked for again.
    """
    known = {*done, *live, *failed}
    looked_at = due[-contract.catchup_windows :] if contract.catchup_windows else due
    room = max(0, contract.max_active_runs * _AHEAD - len(live))
    return [window for window in looked_at if window not in known][:room]


def build_waiting_sensor(contract: PipelineContract, job: Any) -> dg.SensorDefinition | None:
    """Sensor `wait_for_<pipeline>`: asks for a window once another pipeline's step has it; alerts when it is late."""
    wait = contract.wait_for
    if wait is None:
        return None
    awaited, own = step_key(wait.pipeline, wait.step), step_key(contract.name, contract.load[-1].name)

    @dg.sensor(
        name=f"wait_for_{wait.pipeline}",
        job=job,
        minimum_interval_seconds=int(wait.poll.total_seconds()),
        default_status=dg.DefaultSensorStatus.RUNNING if contract.switched_on else dg.DefaultSensorStatus.STOPPED,
        description=f"Runs {contract.name} for a window as soon as {wait.pipeline}.{wait.step} has it; "
        f"an alert {wait.timeout} after the window's end.",
        tags={PIPELINE_TAG: contract.name},
    )
    def waiting(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        now = datetime.now(tz=UTC)
        newest = last_key_ended(contract.cadence, contract.start, now)
        alerted: list[str] = json.loads(context.cursor or "[]")
        if newest is None:
            return dg.SensorResult(skip_reason=f"No window has ended since {contract.start}.")
        arrived = context.instance.get_materialized_partitions(awaited)
        ready = sorted(arrived - context.instance.get_materialized_partitions(own))
        late = overdue(contract, newest, now) and newest not in arrived and newest not in alerted
        if late:
            lake.report_incident(
                Incident(
                    kind="upstream_missing",
                    subject=contract.name,
                    message=f"{wait.pipeline}.{wait.step} has not brought {newest} within {wait.timeout}.",
                    at=now,
                    partition=newest,
                )
            )
            alerted = [*alerted, newest][-100:]
        requests = [
            dg.RunRequest(run_key=f"arrived/{window}", partition_key=window, tags={PIPELINE_TAG: contract.name})
            for window in ready
        ]
        reason = None if requests else f"{wait.pipeline}.{wait.step} has not brought {newest} yet."
        return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=json.dumps(alerted))

    return waiting


def overdue(contract: PipelineContract, key: str, now: datetime) -> bool:
    """Whether a window ended longer ago than the pipeline is willing to wait."""
    if contract.wait_for is None:
        return False
    return now - window_of(contract.cadence, key, contract.start).end >= contract.wait_for.timeout
