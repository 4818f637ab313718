"""Daily maintenance of a stream's tables as a Dagster job, with its figures on the assets.

Its pool is its own, not the stream's: a rewrite of minutes must not hold up drains, and does not have to, because Delta
lets them run side by side. One rewrite at a time for the whole lake, because all share one Spark.
Here: the jobs, their schedule, their metadata. Not here: the work (`lakehouse.lake.maintenance.upkeep`).
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg

from lakehouse.components.failures import typed_failures
from lakehouse.components.resources import LakeResource
from lakehouse.components.tables import STREAM_TAG
from lakehouse.contracts.model import StreamContract

if TYPE_CHECKING:
    from lakehouse.lake.maintenance.upkeep import TableReport

POOL = "maintenance"
_ASSETS = ("bronze", "silver", "speed", "batch")


def build_maintenance_schedule(contract: StreamContract) -> dg.ScheduleDefinition:
    """Job `maintain_<stream>`, daily at 03:23 UTC."""
    return _daily(
        contract.name,
        f"Puts small files of bronze, silver and quarantine of {contract.name} together and deletes replaced ones.",
        lambda lake: lake.maintain_stream(contract),
    )


def build_events_maintenance_schedule() -> dg.ScheduleDefinition:
    """Job `maintain_ops_events` for the table of facts, daily at 03:23 UTC."""

    def work(lake: LakeResource) -> "list[TableReport]":
        report = lake.maintain_events()
        return [*([report] if report else []), *lake.maintain_records()]

    return _daily(
        "ops_events",
        "Puts small files of the tables of facts and of check results together and deletes replaced ones.",
        work,
    )


def _daily(
    subject: str, description: str, work: "Callable[[LakeResource], list[TableReport]]"
) -> dg.ScheduleDefinition:
    name = f"maintain_{subject}"

    @dg.op(name=f"compact_and_vacuum_{subject}", pool=POOL, retry_policy=dg.RetryPolicy(max_retries=2, delay=60))
    def maintain(context: dg.OpExecutionContext, lake: LakeResource) -> None:
        with typed_failures(context):
            reports = work(lake)
        for report in reports:
            _note(context, report)

    @dg.job(name=name, description=description, executor_def=dg.in_process_executor, tags={STREAM_TAG: subject})
    def job() -> None:
        maintain()

    return dg.ScheduleDefinition(
        name=f"{subject}_maintenance",
        job=job,
        cron_schedule="23 3 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Every night: {description}",
    )


def _note(context: dg.OpExecutionContext, report: "TableReport") -> None:
    """Figures into the run's log; for tables that are assets also onto the asset, where Dagster plots them."""
    context.log.info(
        "%s.%s: %d files, before %d; %d days compacted, %d purged, %d postponed; %d files deleted; %.1f s. %s",
        report.layer,
        report.stream,
        report.after.files,
        report.before.files,
        len(report.compacted),
        len(report.purged),
        len(report.postponed),
        report.vacuumed_files,
        report.seconds,
        report.held_back,
    )
    if report.layer not in _ASSETS:
        return
    context.log_event(
        dg.AssetObservation(
            asset_key=[report.layer, report.stream],
            description="Maintenance",
            metadata={
                **{f"files_{name}": value for name, value in dataclasses.asdict(report.after).items()},
                "files_before": report.before.files,
                "days_compacted": len(report.compacted),
                "days_purged": len(report.purged),
                "days_postponed": len(report.postponed),
                "vacuumed_files": report.vacuumed_files,
                "vacuumed_bytes": report.vacuumed_bytes,
                "seconds": round(report.seconds, 3),
            },
        )
    )
