"""A backfill by Dagster's own daemon code in this process: its backfill daemon, its queue, its limits, real runs.

Here: an instance whose runs are processes of the test, and the loop of the two daemons. Not here: what is backfilled.
`defs` is what the loaded code location holds.
"""

import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

import dagster as dg
import yaml
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.execution.api import execute_run
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from lakehouse.components import LakeResource
from lakehouse.components.pipeline import build_pipeline_defs
from lakehouse.components.pipeline_assets import step_key
from lakehouse.components.pipeline_upkeep import end_lost_runs
from lakehouse.contracts.pipelines import load_pipeline
from lakehouse.engine.embedded.dagster_ui import INSTANCE_CONFIG

PIPELINE = load_pipeline("backfillable_etl")
defs = dg.Definitions.merge(
    build_pipeline_defs(PIPELINE),
    dg.Definitions(resources={"lake": LakeResource()}, executor=dg.in_process_executor),
)


def run_in_this_process(home: str, run_id: str, environment: dict[str, str]) -> None:
    """What a run's process does."""
    os.environ.update(environment)
    with dg.DagsterInstance.from_config(home) as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.job_code_origin is not None
        repository = ReconstructableRepository(run.job_code_origin.repository_origin.code_pointer)
        execute_run(ReconstructableJob(repository=repository, job_name=run.job_name), run, instance)


class ProcessLauncher(RunLauncher, ConfigurableClass):
    """Runs each run in a process of its own, forked from one that has imported everything already."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._processes: list[BaseProcess] = []
        self._context = multiprocessing.get_context("forkserver")
        # What every run imports is imported once, before the fork.
        self._context.set_forkserver_preload([__name__, "deltalake", "pyspark.sql.connect.session"])
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        assert not config_value
        return cls(inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        arguments = (self._instance.root_directory, context.dagster_run.run_id, dict(os.environ))
        process = self._context.Process(target=run_in_this_process, args=arguments)
        process.start()
        self._processes.append(process)

    def terminate(self, run_id: str) -> bool:
        return False

    def join(self, timeout: float | None = None, **_: Any) -> None:
        for process in self._processes:
            process.join()


@contextmanager
def instance_in(folder: Path) -> Iterator[dg.DagsterInstance]:
    """An instance with the project's own settings, but for the launcher."""
    folder.mkdir()
    config = yaml.safe_load(INSTANCE_CONFIG.read_text(encoding="utf-8"))
    config["run_launcher"] = {"module": __name__, "class": "ProcessLauncher"}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with opened(folder) as instance:
        yield instance


@contextmanager
def opened(folder: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of a folder that `instance_in` has made; waits for its runs at the end."""
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        yield instance
        instance.run_launcher.join()


def request(instance: dg.DagsterInstance, keys: Sequence[str], title: str = "backfill") -> PartitionBackfill:
    """Ask for these windows of the pipeline, as the UI and `lakehouse backfill` do."""
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id=title,
        asset_graph=defs.resolve_asset_graph(),
        partition_names=list(keys),
        asset_selection=[step_key(PIPELINE.name, step.name) for _, step in PIPELINE.steps()],
        backfill_timestamp=time.time(),
        tags={},
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=title,
        description=None,
        run_config=None,
    )
    instance.add_backfill(backfill)
    return backfill


def work_off(instance: dg.DagsterInstance, *, until: Callable[[], bool]) -> None:
    """Let the daemons go round until the condition holds: backfill, queue, retries, and the pipelines' upkeep."""
    here = LoadableTargetOrigin(executable_path=sys.executable, module_name=__name__, attribute="defs")
    target = InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(here))
    queue = QueuedRunCoordinatorDaemon(interval_seconds=1)
    retries = EventLogConsumerDaemon(interval_seconds=1)
    with WorkspaceProcessContext(instance, target) as workspace:
        while not until():
            for error in execute_backfill_iteration(workspace, logging.getLogger("backfill")):
                assert error is None, error
            for span in [*queue.run_iteration(workspace), *retries.run_iteration(workspace)]:
                assert not hasattr(span, "message"), span
            end_lost_runs(instance)
            time.sleep(0.1)


def has_ended(instance: dg.DagsterInstance, backfill_id: str) -> bool:
    """Whether the backfill is over, well or badly."""
    found = instance.get_backfill(backfill_id)
    assert found is not None
    return found.status != BulkActionStatus.REQUESTED


def most_at_once(instance: dg.DagsterInstance) -> int:
    """The most runs that worked at the same time, by the start and end times of the run records."""
    moments: list[tuple[float, int]] = []
    for record in instance.get_run_records():
        if record.start_time is not None:
            moments.append((record.start_time, 1))
            moments.append((record.end_time or time.time(), -1))
    running = most = 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    return most
