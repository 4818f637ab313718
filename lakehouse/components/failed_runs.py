"""The one sensor for failed runs: what is written down, who is told, and when nobody is.

Here: noticing and choosing. Not here: handlers (`lakehouse.ops.incidents`), channels such as mail
(`lakehouse.ops.notify`), whether a run is tried again (`run_metrics`).
"""

from datetime import UTC, datetime

import dagster as dg

from lakehouse.components.failures import FAILURE_TAG
from lakehouse.components.pipeline_assets import PIPELINE_TAG, window_in
from lakehouse.components.resources import LakeResource
from lakehouse.components.run_metrics import failure_sample, is_tried_again
from lakehouse.ops.incidents import Incident


def build_failure_sensor() -> dg.SensorDefinition:
    """Sensor `failed_runs`: every failed run is an incident, one that failed for good is an alert as well."""

    @dg.run_failure_sensor(
        name="failed_runs",
        minimum_interval_seconds=10,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Writes failed runs to ops/events, tells the functions in LAKEHOUSE_INCIDENT_HANDLERS, and tells "
        "people on the alert channels unless the run is tried again.",
    )
    def failed_runs(context: dg.RunFailureSensorContext, lake: LakeResource) -> dg.SkipReason:
        try:
            for failure in lake.report_incident(_incident(context)):
                context.log.warning("A handler of incidents failed: %s", failure)
        finally:
            # Whatever is wrong with the handlers' setting: people hear of the run all the same.
            said = _alert(context, lake)
        return dg.SkipReason(said)

    sensor: dg.SensorDefinition = failed_runs
    return sensor


def _incident(context: dg.RunFailureSensorContext) -> Incident:
    run = context.dagster_run
    message = (context.failure_event.message or "The run failed.").strip()
    return Incident(
        kind="run_failed",
        subject=run.tags.get(PIPELINE_TAG, run.job_name),
        message=message.splitlines()[0],
        at=datetime.now(tz=UTC),
        run_id=run.run_id,
        partition=window_in(run.tags),
        details={"job": run.job_name, "failure": run.tags.get(FAILURE_TAG, "")},
    )


def _alert(context: dg.RunFailureSensorContext, lake: LakeResource) -> str:
    # As it is now: the tag that a retry follows is set after the run has failed.
    run = context.instance.get_run_by_id(context.dagster_run.run_id) or context.dagster_run
    if is_tried_again(run):
        return f"Run {run.run_id[:8]} of {run.job_name} is tried again."
    reason = context.failure_event.message or "see its log"
    done = lake.raise_alarms([failure_sample(run, reason)], is_everything=False)
    said = ", ".join(f"{delivery.channel} {delivery.state}" for delivery in done) or "told before, or no channel"
    return f"Run {run.run_id[:8]} of {run.job_name} failed: {said}."
