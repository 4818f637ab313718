"""Jobs of Dagster that the demo does not wait for its schedules to launch: quality run, monitoring, seldom drains.

Here: launching them as the button in Dagster does, waiting, the line about the quality run. Not here: what they do
(`components.quality`, `components.monitoring`), asking Dagster (`ops.dagster_api`).
"""

import time
from datetime import UTC, datetime

from lakehouse.cli.console import err
from lakehouse.contracts.model import StreamContract
from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings

_QUALITY, _MONITORING = "data_quality", "monitoring_job"
_PATIENCE_SECONDS = 300.0
_POLL_SECONDS = 0.5


def show_quality(settings: Settings) -> None:
    """Launch the quality run, which alerts, and the monitoring, which measures; say what the first one found.

    Raises:
        LakehouseError: one of them failed, or takes too long.
    """
    from lakehouse.lake.paths import LakePaths
    from lakehouse.lake.quality.hourly import results_of_run

    began, day = time.monotonic(), datetime.now(UTC).date()
    err.print("Dagster runs the quality run and the monitoring", style="dim")
    quality, _ = _run(settings, {_QUALITY: "", _MONITORING: ""})
    results = results_of_run(settings, quality, day)
    findings = sum(result.is_finding for result in results)
    warnings = sum(not result.passed for result in results) - findings
    tables = len({result.table for result in results})
    page = LakePaths.of(settings).reports / "quality" / "latest.html"
    err.print(
        f"✓ quality run: {len(results):,} checks of {tables} tables · {findings} findings · {warnings} warnings · "
        f"report {page} · {time.monotonic() - began:.1f} s",
        markup=False,
        soft_wrap=True,
    )


def drain_at_once(settings: Settings, contracts: list[StreamContract]) -> None:
    """Launch the drains that the streams' sensors would ask for within minutes, and wait for them.

    Raises:
        LakehouseError: one of them failed, or takes too long.
    """
    from lakehouse.lake.monitoring.progress import backlog

    waiting = {contract.name: backlog(contract, settings).days for contract in contracts}
    _run(settings, {f"drain_{name}": days[0][0].isoformat() for name, days in waiting.items() if days})


def wait_for_checks(settings: Settings, contracts: list[StreamContract]) -> None:
    """Wait until no drain of these streams is at work: gold waits for the checks at its end, and so for nothing else.

    Raises:
        LakehouseError: Dagster refuses to say.
    """
    from lakehouse.ops.dagster_api import find_dagster, jobs_under_way

    url = find_dagster(settings)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    drains = {f"drain_{contract.name}" for contract in contracts}
    while url is not None and drains & jobs_under_way(url) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _run(settings: Settings, jobs: dict[str, str]) -> list[str]:
    """Launch these jobs, each for its partition, and wait until all have succeeded; their runs, in the same order."""
    from lakehouse.ops.dagster_api import find_dagster, launch_job, wait_for_run

    url = find_dagster(settings)
    if url is None:
        raise LakehouseError("Dagster does not answer.", fix="lakehouse up --dagster; then run the demo again.")
    runs = {launch_job(url, job, partition=partition): job for job, partition in jobs.items()}
    for run_id, job in runs.items():
        status = wait_for_run(url, run_id, patience_seconds=_PATIENCE_SECONDS)
        if status != "SUCCESS":
            raise LakehouseError(
                f"Dagster's run {run_id[:8]} of {job} is {status.lower()}, not done.",
                why="It failed." if status == "FAILURE" else f"It was waited for {_PATIENCE_SECONDS:.0f} s.",
                fix=f"See {url}/runs/{run_id}; running the demo again goes on.",
            )
    return list(runs)
