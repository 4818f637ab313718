"""The run launcher of the embedded stack: each run is a process of its own and starts in a moment.

Dagster's own launcher starts a new interpreter for each run, which imports and builds all definitions: five seconds of
processor before the first line of ours. Here: launching, ending, noticing that a process is gone. Not here: the process
that is forked from (`template`).
"""

import threading
from collections.abc import Mapping
from typing import Any, Self

from dagster import DagsterInstance, DagsterInvariantViolationError, DagsterRun
from dagster._config.config_schema import UserConfigSchema
from dagster._core.errors import DagsterLaunchFailedError
from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass, serialize_value
from dagster._serdes.config_class import ConfigurableClassData

from lakehouse.engine.embedded.processes import read_place
from lakehouse.launcher import PROCESS_TAG
from lakehouse.launcher.handle import Exit, Template, TemplateError


class PreforkRunLauncher(RunLauncher[DagsterInstance], ConfigurableClass):
    """Forks each run from a process that has loaded all definitions; when a file of them changes, from a new one."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._inst_data = inst_data
        self._lock = threading.Lock()
        self._template: Template | None = None

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """What dagster.yaml said."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Nothing can be set."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: ConfigurableClassData,
        config_value: Mapping[str, Any],  # noqa: ARG003 - there is none
    ) -> Self:
        """As Dagster makes it from dagster.yaml."""
        return cls(inst_data)

    def load(self) -> None:
        """Begin to load the definitions, so that the first run need not wait for all of it."""
        with self._lock:
            if self._template is None:
                self._template = Template(self._note_exit)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process.

        Raises:
            DagsterLaunchFailedError: the definitions cannot be loaded, or no process can be made.
        """
        run = context.dagster_run
        if context.job_code_origin is None:
            raise DagsterInvariantViolationError(f"Run {run.run_id} does not say which code it runs.")
        what = ExecuteRunArgs(context.job_code_origin, run.run_id, self._instance.get_ref())
        try:
            with self._lock:
                if self._template is None or not self._template.is_current():
                    self._let_go()
                    self._template = Template(self._note_exit)
                self._template.start(run.run_id, serialize_value(what))
        except TemplateError as error:
            raise DagsterLaunchFailedError(str(error)) from error  # type: ignore[no-untyped-call]

    def terminate(self, run_id: str) -> bool:
        """Ask the run's process to end, as Ctrl-C would; False when there is none any more, or it is elsewhere."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        place = read_place(run.tags.get(PROCESS_TAG, ""))
        process = place[1].process() if place is not None and place[0] else None
        if process is None:
            self._instance.report_engine_event("No process of this run is on this machine.", run, cls=type(self))
            return False
        process.terminate()
        return True

    def dispose(self) -> None:
        """Let the template go; runs that it started go on."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._template is not None:
            self._template.let_go()
            self._template = None

    def _note_exit(self, gone: Exit) -> None:
        """A run's process ended: when the run has not, it was killed, and nobody else would say so."""
        run = self._instance.get_run_by_id(gone.run_id)
        if isinstance(run, DagsterRun) and not run.is_finished:
            message = f"The process of this run (pid {gone.pid}) {gone.how()} before the run had ended."
            self._instance.report_engine_event(message, run, cls=type(self))
            self._instance.report_run_failed(run, message)
