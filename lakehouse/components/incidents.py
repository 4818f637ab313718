"""Runs that take too long, told to whoever listens (`LAKEHOUSE_INCIDENT_HANDLERS`).

Here: noticing. Not here: telling (`lakehouse.ops.incidents`, `lakehouse.lake.monitoring.incidents`), late windows
(`pipeline_sensors`), failed runs (`failed_runs`).
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import dagster as dg

from lakehouse.components.pipeline_assets import PIPELINE_TAG, window_in
from lakehouse.components.resources import LakeResource
from lakehouse.contracts.pipeline import PipelineContract
from lakehouse.ops.incidents import Incident

SLA_SECONDS = 60


def build_sla_sensor(pipelines: Mapping[str, PipelineContract]) -> dg.SensorDefinition:
    """Sensor `pipeline_sla`: a run that works for longer than its pipeline's `sla.max_runtime` becomes an incident."""

    @dg.sensor(
        name="pipeline_sla",
        minimum_interval_seconds=SLA_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells of runs that take longer than their pipeline allows; the run itself goes on.",
    )
    def pipeline_sla(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        told: list[str] = json.loads(context.cursor or "[]")
        records = context.instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        found = [
            incident
            for incident in too_long(records, pipelines, now=datetime.now(tz=UTC))
            if incident.run_id not in told
        ]
        for incident in found:
            lake.report_incident(incident)
        cursor = json.dumps([*told, *(incident.run_id for incident in found)][-200:])
        return dg.SensorResult(skip_reason=f"{len(found)} runs take too long.", cursor=cursor)

    return pipeline_sla


def too_long(
    records: Iterable[dg.RunRecord], pipelines: Mapping[str, PipelineContract], *, now: datetime
) -> list[Incident]:
    """Incidents for the started runs that have worked for longer than their pipeline allows."""
    found = []
    for record in records:
        run = record.dagster_run
        contract = pipelines.get(run.tags.get(PIPELINE_TAG, run.job_name))
        limit = contract.sla.max_runtime if contract is not None else None
        if contract is None or limit is None or record.start_time is None:
            continue
        seconds = now.timestamp() - record.start_time
        if seconds > limit.total_seconds():
            found.append(
                Incident(
                    kind="run_too_long",
                    subject=contract.name,
                    message=f"{contract.name} has worked for {seconds / 60:.0f} minutes; {limit} are allowed.",
                    at=now,
                    run_id=run.run_id,
                    partition=window_in(run.tags),
                )
            )
    return found
