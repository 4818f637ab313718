"""The batch layer as an asset: the daily aggregates of user events, a partition per event date, and its nightly run.

Here: the asset and its schedule. Not here: computing (`lakehouse.lake.batch.daily_views`).
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from lakehouse.components import LakeResource
from lakehouse.components.failures import typed_failures
from lakehouse.components.tables import partitions
from lakehouse.contracts.load import load_stream
from lakehouse.lake.batch.daily_views import COLUMNS, STREAM, VIEW

KEY = dg.AssetKey(["batch", VIEW])
JOB = f"build_{VIEW}"


def _asset() -> dg.AssetsDefinition:
    columns = [dg.TableColumn(name, kind) for name, kind in COLUMNS.items()]

    @dg.asset(
        key=KEY,
        deps=[dg.AssetKey(["silver", STREAM])],
        group_name="batch",
        partitions_def=partitions(load_stream(STREAM)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL),
        pool=f"batch_{VIEW}",
        owners=["team:data-engineering"],
        kinds={"spark", "deltalake"},
        tags={"stream": STREAM},
        description="Events and revenue per day, user and event type, computed anew from silver. A run replaces its "
        "own dates only.",
        metadata={
            "dagster/column_schema": dg.TableSchema(columns=columns),
            "dagster/table_name": f"batch-views.{VIEW}",
            "path": f"batch-views/{VIEW}/date=<date>/event_type=<event_type>",
        },
    )
    def daily_agg(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        with typed_failures(context):
            report = lake.build_daily_agg([date.fromisoformat(key) for key in context.partition_keys])
        return dg.MaterializeResult(
            metadata={
                "run_rows": report.rows,
                "run_days": len(report.days),
                "seconds": round(report.seconds, 3),
                "last_complete_day": str(report.boundary or "none"),
                "delta_version": report.delta_version,
            }
        )

    return daily_agg


@dg.definitions
def batch() -> dg.Definitions:
    """Definitions of the batch layer."""
    asset = _asset()
    job = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(asset),
        description="Computes days of the batch view from silver.",
        executor_def=dg.in_process_executor,
    )

    @dg.schedule(
        name=f"{VIEW}_nightly",
        job=job,
        cron_schedule="0 2 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Daily at 02:00 UTC: yesterday, and every earlier day whose silver changed since it was computed.",
    )
    def nightly(context: dg.ScheduleEvaluationContext, lake: LakeResource) -> Iterator[dg.RunRequest | dg.SkipReason]:
        days = lake.stale_batch_days()
        if not days:
            yield dg.SkipReason("Every settled day is in the batch view as silver has it.")
        for day in days:
            # The tick's own time: a day that changes again on another night is asked for again.
            yield dg.RunRequest(
                run_key=f"{day}/{context.scheduled_execution_time:%Y-%m-%dT%H}", partition_key=day.isoformat()
            )

    return dg.Definitions(assets=[asset], jobs=[job], schedules=[nightly])
