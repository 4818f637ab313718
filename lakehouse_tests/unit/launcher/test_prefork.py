"""Runs are forked from a process that has loaded everything: they end, are killed, are ended, and all of it is said."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.errors import DagsterLaunchFailedError
from dagster._core.launcher import LaunchRunContext

from lakehouse.engine.embedded.dagster_ui import instance_config
from lakehouse.engine.embedded.processes import identify, read_place
from lakehouse.launcher import PROCESS_TAG, handle
from lakehouse.launcher.prefork import PreforkRunLauncher
from lakehouse.settings import PROJECT_ROOT
from lakehouse_tests.unit.launcher.jobs import defs

PATIENCE_SECONDS = 60.0
ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    home = tmp_path_factory.mktemp("dagster")
    (home / "dagster.yaml").write_text(instance_config())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_HOME", str(home))
        patch.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.from_config(str(home)) as made:
            yield made


def launcher_of(instance: dg.DagsterInstance) -> PreforkRunLauncher:
    launcher = instance.run_launcher
    assert isinstance(launcher, PreforkRunLauncher), "what the stack's settings name"
    return launcher


def launch(instance: dg.DagsterInstance, job: str) -> str:
    repository = ReconstructableRepository.for_module("lakehouse_tests.unit.launcher.jobs", "defs", str(PROJECT_ROOT))
    origin = repository.get_reconstructable_job(job).get_python_origin()
    run = instance.create_run_for_job(
        defs.get_job_def(job), status=dg.DagsterRunStatus.STARTING, job_code_origin=origin
    )
    launcher_of(instance).launch_run(LaunchRunContext(run, workspace=None))
    return run.run_id


def wait_for(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def process_of(instance: dg.DagsterInstance, run_id: str) -> psutil.Process:
    def find() -> psutil.Process | None:
        run = instance.get_run_by_id(run_id)
        place = read_place(run.tags.get(PROCESS_TAG, "")) if run is not None else None
        return place[1].process() if place is not None else None

    return wait_for(find)


def started(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Its step is at work: what is killed before leaves Dagster's capture of the output behind."""
    return any(entry.dagster_event and entry.dagster_event.is_step_start for entry in instance.all_logs(run_id))


def said(instance: dg.DagsterInstance, run_id: str) -> str:
    return "\n".join(f"{entry.message} {entry.dagster_event or ''}" for entry in instance.all_logs(run_id))


def test_runs_are_forked_from_one_process_with_one_thread_of_python(instance: dg.DagsterInstance) -> None:
    first = launch(instance, "long")
    template = psutil.Process(process_of(instance, first).ppid())
    assert "lakehouse.launcher.template" in template.cmdline()
    others = {thread.id for thread in template.threads()} - {template.pid}
    names = {Path(f"/proc/{template.pid}/task/{thread}/comm").read_text(encoding="utf-8").strip() for thread in others}
    assert names <= {"jemalloc_bg_thd"}, "a fork copies one thread; the state of others would be lost"
    second = launch(instance, "short")
    assert wait_for(lambda: status(instance, second) in ENDED)
    assert status(instance, second) == dg.DagsterRunStatus.SUCCESS, said(instance, second)
    assert "passed" in said(instance, second)
    assert psutil.Process(process_of(instance, first).ppid()) == template
    wait_for(lambda: started(instance, first))
    assert launcher_of(instance).terminate(first)
    assert wait_for(lambda: status(instance, first) in ENDED)
    assert status(instance, first) == dg.DagsterRunStatus.CANCELED
    assert not launcher_of(instance).terminate(first), "it has ended"


def test_a_killed_run_fails_and_says_what_became_of_its_process(instance: dg.DagsterInstance) -> None:
    run_id = launch(instance, "long")
    wait_for(lambda: started(instance, run_id))
    os.kill(process_of(instance, run_id).pid, signal.SIGKILL)
    assert wait_for(lambda: status(instance, run_id) in ENDED)
    assert status(instance, run_id) == dg.DagsterRunStatus.FAILURE
    assert "was killed by SIGKILL before the run had ended" in said(instance, run_id)


def test_a_run_without_a_process_cannot_be_ended(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(defs.get_job_def("long"), status=dg.DagsterRunStatus.STARTED)
    assert not launcher_of(instance).terminate(run.run_id)
    assert "No process of this run is on this machine" in said(instance, run.run_id)


def test_changed_code_is_loaded_anew_and_runs_of_the_old_go_on(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = launch(instance, "long")
    template = identify(process_of(instance, old).ppid())
    wait_for(lambda: started(instance, old))
    monkeypatch.setattr(handle, "code_on_disk", lambda: {"changed.py": 1})
    new = launch(instance, "long")
    assert process_of(instance, new).ppid() != template.pid
    wait_for(lambda: started(instance, new))
    for run_id in (old, new):
        process_of(instance, run_id).terminate()
        assert wait_for(lambda run_id=run_id: status(instance, run_id) in ENDED)
        assert status(instance, run_id) in {dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE}
    assert wait_for(lambda: not template.is_alive()), "it ends after its last run"


def test_code_on_disk_is_every_source_and_nothing_that_runs_write(tmp_path: Path) -> None:
    known = handle.code_on_disk()
    assert any(name.endswith("lakehouse/defs/streams/sales/defs.yaml") for name in known)
    assert any(name.endswith("lakehouse/definitions.py") for name in known)
    assert not any("__pycache__" in name for name in known)


def test_definitions_that_do_not_load_fail_the_launch_with_the_reason(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "def broken(*_): raise ValueError('streams/sales/defs.yaml: no such field')\n"
        "import dagster\ndagster.ComponentTree.for_project = broken\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(handle, "code_on_disk", lambda: {"broken.py": 1})
    with pytest.raises(DagsterLaunchFailedError, match="cannot be loaded: ValueError: streams/sales"):
        launch(instance, "short")
    monkeypatch.undo()
    mended = launch(instance, "short")
    assert wait_for(lambda: status(instance, mended) in ENDED)
    assert status(instance, mended) == dg.DagsterRunStatus.SUCCESS
