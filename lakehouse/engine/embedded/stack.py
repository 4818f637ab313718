"""Start, stop and describe the embedded stack: the one door for commands, tests and benchmarks.

Here: bringing the plan's services up and waiting until each answers a real request. Not here: what must be there
before (`preparation`), the plan (`planning`), keeping processes alive (`supervisor`).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from lakehouse.engine.embedded import (
    connect,
    dagster_ui,
    kafka,
    ports,
    postgres,
    processes,
    registry,
    spark,
)
from lakehouse.engine.embedded.last_words import last_words
from lakehouse.engine.embedded.planning import plan_services
from lakehouse.engine.embedded.preparation import Progress, Report, check_folder
from lakehouse.engine.embedded.readiness import is_healthy
from lakehouse.engine.embedded.service import ServiceSpec, ServiceStatus
from lakehouse.engine.embedded.state import StackFiles
from lakehouse.errors import SetupError
from lakehouse.settings import Settings

READY_SECONDS = {
    kafka.NAME: 90.0,
    spark.NAME: 180.0,
    postgres.NAME: 60.0,
    connect.NAME: 120.0,
    registry.NAME: 120.0,
    dagster_ui.CODE: 180.0,
    dagster_ui.WEBSERVER: 180.0,
    dagster_ui.DAEMON: 180.0,
}
QUICK_ANSWER_SECONDS = 8.0
SUPERVISOR_START_SECONDS = 60.0
SUPERVISOR_STOP_SECONDS = 90.0
TRIES_BEFORE_GIVING_UP = 2


def start(
    settings: Settings,
    services: Iterable[str] = (kafka.NAME, spark.NAME),
    on_progress: Report | None = None,
    *,
    owner_pid: int = 0,
) -> list[ServiceStatus]:
    """Bring the services up, adopt those that run already, and wait until each answers a real request.

    Args:
        settings: Where the state folder is, preferred ports, memory.
        services: Any of kafka, spark, registry, postgres, connect (which needs postgres), dagster.
        on_progress: Called at each step; from several threads while jars are downloaded.
        owner_pid: When this process ends, the stack stops by itself; 0 keeps it until `stop`.

    Raises:
        SetupError: something the machine must have is missing, or a service does not come up.
    """
    report = on_progress or (lambda _: None)
    files = StackFiles(settings.home)
    check_folder(settings.home)
    wanted = list(services)
    with files.exclusive():
        try:
            _start(settings, files, wanted, report, owner_pid)
        except SupervisorGoneError:
            # It was killed while we relied on it; a new one takes its services over.
            _start(settings, files, wanted, report, owner_pid)
    return status(settings)


class SupervisorGoneError(SetupError):
    """The supervisor ended while a start was waiting for its services."""


def _start(settings: Settings, files: StackFiles, wanted: list[str], report: Report, owner_pid: int) -> None:
    supervisor = files.supervisor()
    if supervisor is None:
        _clear_unhealthy(settings, files, report)
    running = files.read_plan() if supervisor is not None or files.recorded() else []
    with ports.Promises(settings.cache_dir / "ports") as promises:
        specs = plan_services(settings, files, wanted, running, promises, report)
        files.write_plan(specs, owner_pid)
        if supervisor is None:
            _spawn_supervisor(settings, files)
        elif (supervisor_process := supervisor.process()) is not None:
            _hang_up(supervisor_process.pid)
        for spec in specs:
            _wait_ready(settings, files, spec, report)
            if spec.name == registry.NAME:
                registry.require_backward(spec.url)
    files.write_endpoints(specs)


def stop(settings: Settings) -> list[str]:
    """Stop every service and the supervisor; return the names of what was stopped. Nothing running is no error."""
    files = StackFiles(settings.home)
    if not settings.home.is_dir():
        return []
    with files.exclusive():
        names = [entry.name for entry in status(settings) if entry.state != "stopped"]
        supervisor = files.supervisor()
        process = supervisor.process() if supervisor is not None else None
        if process is not None:
            processes.end([process], SUPERVISOR_STOP_SECONDS)
        # What is left when the supervisor itself was killed.
        how = {spec.name: spec.stop_signal for spec in files.read_plan()}
        for name, identity in files.recorded().items():
            left = identity.process()
            if left is not None:
                processes.end([left], 10, how.get(name, signal.SIGTERM))
        strays = processes.marked(str(settings.home))
        processes.end(strays, 5)
        files.forget()
    return names


def status(settings: Settings) -> list[ServiceStatus]:
    """What services.json and the process table say now; asks no service."""
    entries = StackFiles(settings.home).read_services().get("services", {})
    recorded = StackFiles(settings.home).recorded()
    found = []
    for name, entry in entries.items():
        alive = name in recorded and recorded[name].is_alive()
        supervised = StackFiles(settings.home).supervisor() is not None
        state = entry["state"] if alive or (supervised and entry["state"] == "restarting") else "stopped"
        found.append(
            ServiceStatus(
                name=name,
                state=state,
                pid=entry["pid"] if alive else 0,
                port=entry["port"],
                url=entry["url"],
                since=entry["since"] if alive else "",
                log=entry["log"],
                restarts=entry["restarts"],
            )
        )
    return found


def _clear_unhealthy(settings: Settings, files: StackFiles, report: Report) -> None:
    """After a crash of the supervisor: end recorded processes that do not answer, and unrecorded ones."""
    recorded = files.recorded()
    healthy: set[int] = set()
    for spec in files.read_plan():
        identity = recorded.get(spec.name)
        process = identity.process() if identity is not None else None
        if process is None:
            continue
        if spec.name in READY_SECONDS and _is_ready(spec, process.pid):
            healthy.add(process.pid)
            report(Progress(spec.title, "note", f"still running (pid {process.pid}); taking it over"))
        else:
            report(Progress(spec.title, "note", f"pid {process.pid} does not answer; replacing it"))
            processes.end([process], spec.stop_seconds, spec.stop_signal)
    strays = [
        entry
        for entry in processes.marked(
            str(settings.home), (kafka.NAME, spark.NAME, registry.NAME, postgres.NAME, connect.NAME)
        )
        if entry.pid not in healthy
    ]
    processes.end(strays, 10)
    if not healthy:
        files.forget()


def _spawn_supervisor(settings: Settings, files: StackFiles) -> None:
    """Start the supervisor and wait until it has signed services.json: before that, the file tells of the last one.

    Raises:
        SupervisorGoneError: it ended, or did not sign within the time.
    """
    with files.supervisor_log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "lakehouse.engine.embedded.supervisor", str(settings.home)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=settings.home,
        )
    deadline = time.monotonic() + SUPERVISOR_START_SECONDS
    while (signed := files.supervisor()) is None or signed.pid != child.pid:
        if child.poll() is not None or time.monotonic() > deadline:
            raise _gone(files)
        time.sleep(0.05)


def _gone(files: StackFiles) -> SupervisorGoneError:
    return SupervisorGoneError("The supervisor ended.", fix=f"Read {files.supervisor_log}; then: lakehouse up")


def _hang_up(pid: int) -> None:
    os.kill(pid, signal.SIGHUP)


def _wait_ready(settings: Settings, files: StackFiles, spec: ServiceSpec, report: Report) -> None:
    began = time.monotonic()
    limit = READY_SECONDS[spec.name]
    first_restarts: int | None = None
    while True:
        entry = {item.name: item for item in status(settings)}.get(spec.name)
        if entry is not None and first_restarts is None:
            first_restarts = entry.restarts
        if entry is not None and entry.state == "running" and _is_ready(spec, entry.pid):
            report(Progress(spec.title, "done", f"{time.monotonic() - began:.1f} s"))
            return
        died = entry is not None and entry.restarts - (first_restarts or 0) >= TRIES_BEFORE_GIVING_UP
        if died or time.monotonic() - began > limit:
            raise SetupError(
                f"{spec.title} {'keeps dying' if died else f'does not answer after {limit:.0f} s'}.",
                why=last_words((Path(spec.log), Path(spec.output))) or "Its log says nothing.",
                fix=f"Read {spec.log} and {spec.output}; then: lakehouse doctor. `lakehouse down` stops the rest.",
            )
        if files.supervisor() is None:
            raise _gone(files)
        report(Progress(spec.title, "working", f"waiting, {time.monotonic() - began:.0f} s"))
        time.sleep(0.1)


def _is_ready(spec: ServiceSpec, pid: int) -> bool:
    """The service answers, and what answers is this process: another stack may have been quicker to take the port.

    Whoever took that answer for its own would read and write the other stack's data.
    """
    return is_healthy(spec, QUICK_ANSWER_SECONDS) and (not spec.port or ports.is_held_by(spec.port, pid))
