"""`lakehouse backfill` for batch pipelines: many windows, as a recorded Dagster backfill where Dagster runs.

Here: choosing windows, handing them over or running them. Not here: the command itself (`cli.backfill`).
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from lakehouse.cli.console import err
from lakehouse.cli.services import require_services
from lakehouse.contracts.pipeline import PipelineContract
from lakehouse.contracts.window import keys_ended, window_of
from lakehouse.errors import LakehouseError, UsageError

if TYPE_CHECKING:
    from lakehouse.settings import Settings


class BackfillFailedError(LakehouseError):
    """A backfill that Dagster ran did not end well."""

    code = "BACKFILL_FAILED"


def windows_of(pipeline: PipelineContract, days: list[date], now: datetime) -> list[str]:
    """Keys of the pipeline's windows that start on these days and have ended, oldest first.

    Raises:
        UsageError: the pipeline has no windows, or none of these has ended.
    """
    if pipeline.cadence == "none":
        raise UsageError(
            f"{pipeline.name} has no windows: each run computes everything.",
            fix=f"lakehouse pipelines run {pipeline.name}",
        )
    wanted = set(days)
    until = min(now, datetime.combine(max(days) + timedelta(days=1), time(), UTC))
    keys = keys_ended(pipeline.cadence, pipeline.start, until)
    found = [key for key in keys if window_of(pipeline.cadence, key, pipeline.start).day in wanted]
    if not found:
        raise UsageError(f"No window of {pipeline.name} on {days[0]} to {days[-1]} has ended yet.")
    return found


def in_dagster(url: str, pipeline: PipelineContract, keys: list[str], *, wait: bool) -> dict[str, Any]:
    """Hand the windows to Dagster: one run each, at most `max_active_runs` at once.

    Raises:
        BackfillFailedError: it did not end well.
    """
    from lakehouse.ops import dagster_api

    assets = [["batch", pipeline.name, step.name] for _, step in pipeline.steps()]
    title = f"lakehouse backfill {pipeline.name} {keys[0]} to {keys[-1]}"
    backfill_id = dagster_api.launch_backfill(url, assets, keys, title=title)
    page = f"{url}/runs/b/{backfill_id}"
    err.print(f"Dagster has it: {page}", soft_wrap=True)
    result = {"backfill": backfill_id, "url": page, "windows": keys, "status": "REQUESTED"}
    if wait:
        with err.status(f"running {len(keys)} windows, {pipeline.max_active_runs} at once …"):
            result["status"] = dagster_api.wait_for_backfill(url, backfill_id)
        if result["status"] != "COMPLETED_SUCCESS":
            raise BackfillFailedError(f"Backfill {backfill_id} ended {result['status']}.", fix=f"See {page}")
        err.print(f"✓ {len(keys)} windows of {pipeline.name}")
    return result


def here(pipeline: PipelineContract, keys: list[str], settings: "Settings") -> dict[str, Any]:
    """Run the windows in this process, oldest first, one after the other. Stops at the first that fails."""
    from rich.progress import Progress

    from lakehouse.lake.batch.run import run_pipeline

    require_services(settings)
    done: list[dict[str, Any]] = []
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(pipeline.name, total=len(keys))
        for key in keys:
            reports = run_pipeline(pipeline, key, settings)
            loaded = sum(report.rows for report in reports if report.stage == "load")
            seconds = sum(report.seconds for report in reports)
            done.append({"window": key, "rows": loaded, "seconds": round(seconds, 3)})
            bar.advance(task)
    return {"pipeline": pipeline.name, "windows": done}
