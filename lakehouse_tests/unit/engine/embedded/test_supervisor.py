"""The supervisor with plain processes instead of Kafka and Spark: adopt, restart, back off, stop."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from lakehouse.engine.embedded import processes
from lakehouse.engine.embedded.processes import Identity
from lakehouse.engine.embedded.service import ServiceSpec
from lakehouse.engine.embedded.state import StackFiles
from lakehouse.engine.embedded.supervisor import MAX_BACKOFF_SECONDS, STABLE_SECONDS, Watched

WAITER = [sys.executable, "-c", "import time; time.sleep(600)"]


def spec_for(home: Path, name: str = "waiter", command: list[str] | None = None) -> ServiceSpec:
    return ServiceSpec(
        name=name,
        title=name,
        command=command or WAITER,
        cwd=str(home),
        port=0,
        url="",
        log=str(home / f"{name}.log"),
        output=str(home / f"{name}.out"),
        stop_seconds=2,
    )


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true"
        time.sleep(0.05)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[StackFiles]:
    files = StackFiles(tmp_path)
    files.run.mkdir()
    yield files
    for process in processes.marked(str(tmp_path)):
        process.kill()


def run(files: StackFiles) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "lakehouse.engine.embedded.supervisor", str(files.home)])


def entry_of(files: StackFiles, name: str = "waiter") -> dict[str, Any]:
    return dict(files.read_services().get("services", {}).get(name, {}))


def pid_of(files: StackFiles, name: str = "waiter") -> int:
    return int(entry_of(files, name).get("pid", 0))


def test_dead_service_is_started_again_and_counted(files, tmp_path):
    files.write_plan([spec_for(tmp_path)], owner_pid=0)
    supervisor = run(files)
    wait_for(lambda: pid_of(files))
    first = pid_of(files)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: pid_of(files) not in (0, first))
    entry = files.read_services()["services"]["waiter"]
    assert entry["restarts"] == 1
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert not psutil.pid_exists(entry["pid"])
    assert not files.services.exists()


def test_successor_takes_over_what_a_killed_supervisor_left(files, tmp_path):
    files.write_plan([spec_for(tmp_path)], owner_pid=0)
    killed = run(files)
    wait_for(lambda: pid_of(files))
    pid = pid_of(files)
    killed.kill()
    killed.wait()
    assert psutil.pid_exists(pid)
    assert files.supervisor() is None
    successor = run(files)
    wait_for(lambda: files.supervisor() is not None)
    assert pid_of(files) == pid
    successor.terminate()
    successor.wait(20)
    assert not psutil.pid_exists(pid)


def test_hangup_starts_what_the_new_plan_adds_and_leaves_the_rest(files, tmp_path):
    files.write_plan([spec_for(tmp_path)], owner_pid=0)
    supervisor = run(files)
    wait_for(lambda: pid_of(files))
    pid = pid_of(files)
    files.write_plan([spec_for(tmp_path), spec_for(tmp_path, "second")], owner_pid=0)
    supervisor.send_signal(signal.SIGHUP)
    wait_for(lambda: pid_of(files, "second"))
    assert pid_of(files) == pid
    supervisor.terminate()
    supervisor.wait(20)


def test_hangup_starts_at_once_what_waits_for_its_next_try(files, tmp_path):
    marker = tmp_path / "mended"
    script = f"import pathlib, sys, time; pathlib.Path({str(marker)!r}).exists() or sys.exit(3); time.sleep(600)"
    files.write_plan([spec_for(tmp_path, command=[sys.executable, "-c", script])], owner_pid=0)
    supervisor = run(files)
    # After pauses of 0.25, 1 and 4 s the next one is 16 s.
    wait_for(lambda: (entry := entry_of(files)).get("restarts") == 3 and entry["state"] == "restarting")
    marker.touch()
    asked = time.monotonic()
    supervisor.send_signal(signal.SIGHUP)
    wait_for(lambda: pid_of(files))
    assert time.monotonic() - asked < 10, "the pause of 16 s was waited for"
    first = pid_of(files)
    os.kill(first, signal.SIGKILL)
    # Whoever killed it knows before the supervisor does.
    asked = time.monotonic()
    supervisor.send_signal(signal.SIGHUP)
    wait_for(lambda: pid_of(files) not in (0, first))
    assert time.monotonic() - asked < 10, "the pause of 30 s was waited for"
    supervisor.terminate()
    supervisor.wait(20)


def test_stack_ends_with_its_owner(files, tmp_path):
    owner = subprocess.Popen(WAITER)
    files.write_plan([spec_for(tmp_path)], owner_pid=owner.pid)
    supervisor = run(files)
    wait_for(lambda: pid_of(files))
    pid = pid_of(files)
    owner.kill()
    owner.wait()
    assert supervisor.wait(20) == 0
    assert not psutil.pid_exists(pid)


def test_backoff_grows_while_a_service_dies_young_and_starts_over_when_it_was_stable(tmp_path):
    service = Watched(spec_for(tmp_path), Identity(1, 1000.0))
    waits = [service.backoff(1001.0) for _ in range(8)]
    assert waits == sorted(waits)
    assert waits[0] < 1
    assert waits[-1] == MAX_BACKOFF_SECONDS
    assert service.backoff(1000.0 + STABLE_SECONDS + 1) == waits[0]


def test_plan_survives_being_written_down(files, tmp_path):
    spec = replace(spec_for(tmp_path), env={"KEY": "value"}, port=12)
    files.write_plan([spec], owner_pid=7)
    assert files.read_plan() == [spec]
    assert files.read_owner() == 7
    assert files.plan.stat().st_mode & 0o077 == 0


def test_stale_supervisor_entry_counts_as_none(files):
    files.write_services(Identity(os.getpid(), 12.0), {})
    assert files.supervisor() is None
    assert json.loads(files.services.read_text())["supervisor"]["pid"] == os.getpid()
