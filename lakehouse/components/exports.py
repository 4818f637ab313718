"""The daily export of gold's key figures as an asset with its schedule.

Here: assembly. Not here: `lake.serving.exports`.
"""

from typing import Any

import dagster as dg

from lakehouse.components.failures import typed_failures
from lakehouse.components.resources import LakeResource

KEY = dg.AssetKey(["exports", "daily_figures"])


def build_export_defs(marts: list[dg.AssetKey]) -> dg.Definitions:
    """Asset `exports/daily_figures`, daily at 06:30 UTC."""

    @dg.asset(
        key=KEY, deps=marts, group_name="serving", owners=["team:data-engineering"], kinds={"parquet", "csv"},
        description="Dated Parquet and CSV files of gold's daily tables, for tools that read files.",
    )  # fmt: skip
    def daily_figures(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        with typed_failures(context):
            made = lake.export_gold()
        return dg.MaterializeResult(
            metadata={
                "folder": dg.MetadataValue.path(str(made.folder)),
                **{f"by_date_{path.name}": dg.MetadataValue.path(str(path)) for path in made.partitioned},
                **{f"rows_{table}": rows for table, rows in made.rows.items()},
            }
        )

    job = dg.define_asset_job(
        "export_daily_figures", selection=dg.AssetSelection.assets(KEY), executor_def=dg.in_process_executor
    )
    return dg.Definitions(
        assets=[daily_figures],
        jobs=[job],
        schedules=[
            dg.ScheduleDefinition(
                name="daily_export",
                job=job,
                cron_schedule="30 6 * * *",
                execution_timezone="UTC",
                default_status=dg.DefaultScheduleStatus.RUNNING,
                should_execute=_gold_is_there,
                description="Every morning: dated files of gold's daily tables; nothing while gold was never built.",
            )
        ],
    )


def _gold_is_there(_context: dg.ScheduleEvaluationContext) -> bool:
    from lakehouse.lake.gold.builds import gold_path
    from lakehouse.settings import load_settings

    return gold_path(load_settings()).is_file()
