"""Monitoring in Dagster: a job that measures, publishes and alerts every five minutes; a sensor for failed runs.

Here: the assets `ops/metrics` and `ops/audit`, their job and schedule, the sensor for failed runs. Not
here: measuring (`lake.monitoring.metrics`, `components.run_metrics`), rules and channels (`ops`).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from lakehouse.components.audit import dagster_actions
from lakehouse.components.failed_runs import build_failure_sensor
from lakehouse.components.failures import typed_failures
from lakehouse.components.resources import LakeResource
from lakehouse.components.run_metrics import sample_runs
from lakehouse.contracts.model import StreamContract
from lakehouse.errors import BrokerUnreachableError

JOB = "monitoring_job"
METRICS, AUDIT = dg.AssetKey(["ops", "metrics"]), dg.AssetKey(["ops", "audit"])
_OWNERS = ["team:data-engineering"]


def build_monitoring_defs(contracts: Mapping[str, StreamContract]) -> dg.Definitions:
    """Job `monitoring_job`, every five minutes, and the sensor for failed runs."""

    @dg.asset(
        key=METRICS, group_name="operations", owners=_OWNERS, kinds={"kafka", "prometheus"},
        description="Health, lag, freshness, latency, utilisation and runs: to the topic system-metrics, to a "
        "Prometheus text file, and against the alert rules.",
    )  # fmt: skip
    def metrics(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        now = datetime.now(UTC)
        with typed_failures(context):
            samples = [*lake.sample(contracts, now=now), *sample_runs(context.instance, now=now)]
            path = lake.write_textfile(samples)
            try:
                sent = lake.publish_metrics(samples)
            except BrokerUnreachableError as error:
                # Of all times people must hear of trouble now.
                sent = 0
                context.log.warning("Nothing was published: %s", error.one_line())
            deliveries = lake.raise_alarms(samples, is_everything=True)
        for delivery in deliveries:
            log = context.log.error if delivery.state == "failed" else context.log.info
            log("%s: %s %s %s", delivery.channel, delivery.key, delivery.state, delivery.why)
        figures = {
            "_".join(
                [s.metric, *(value for name, value in sorted(s.labels.items()) if name in ("stream", "job"))]
            ): s.value
            for s in samples
            if set(s.labels) <= {"stream", "job", "host", "service"}
        }
        return dg.MaterializeResult(
            metadata={
                "samples": len(samples), "published": sent, "deliveries": len(deliveries),
                "failed_deliveries": sum(delivery.state == "failed" for delivery in deliveries),
                "textfile": dg.MetadataValue.path(str(path)), **figures,
            }
        )  # fmt: skip

    @dg.asset(
        key=AUDIT, group_name="operations", owners=_OWNERS, kinds={"deltalake"},
        description="What users and the system did: runs, backfills, decisions, maintenance; append-only.",
    )  # fmt: skip
    def audit(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        now = datetime.now(UTC)
        with typed_failures(context):
            new = lake.audit(dagster_actions(context.instance, now=now), now=now)
        return dg.MaterializeResult(metadata={"new_actions": new})

    job = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(METRICS, AUDIT),
        description="Health, lag, freshness, metrics, alerts, audit.",
        executor_def=dg.in_process_executor,
    )
    return dg.Definitions(
        assets=[metrics, audit],
        jobs=[job],
        schedules=[
            dg.ScheduleDefinition(
                name="monitoring_every_5_minutes",
                job=job,
                cron_schedule="*/5 * * * *",
                execution_timezone="UTC",
                default_status=dg.DefaultScheduleStatus.RUNNING,
                description="Every five minutes: measure, publish, alert, audit.",
            )
        ],
        sensors=[build_failure_sensor()],
    )
