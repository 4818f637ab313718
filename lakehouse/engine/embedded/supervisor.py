"""The process that keeps the services alive after the command that started it has ended.

Here: spawn, adopt, watch, restart with back-off, stop. It reads a plan of pure data and knows no service.
Not here: building the plan, health questions (stack, kafka, spark).
"""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from lakehouse.engine.embedded import ports, processes
from lakehouse.engine.embedded.processes import Identity
from lakehouse.engine.embedded.service import ServiceSpec
from lakehouse.engine.embedded.state import StackFiles

POLL_SECONDS = 0.25
FIRST_BACKOFF_SECONDS = 0.25
MAX_BACKOFF_SECONDS = 30.0
STABLE_SECONDS = 60.0


@dataclass
class Watched:
    """A service under watch and its present process."""

    spec: ServiceSpec
    identity: Identity
    child: "subprocess.Popen[bytes] | None" = None
    restarts: int = 0
    failures: int = 0
    restart_at: float = 0.0
    reached: bool = field(default=False)

    def is_alive(self) -> bool:
        """Is the process there? Reaps our own child, so that no zombie stays."""
        if self.child is not None:
            return self.child.poll() is None
        return self.identity.is_alive()

    def backoff(self, now: float) -> float:
        """Seconds to wait before the next start; grows while the service keeps dying young."""
        self.failures = 0 if now - self.identity.created > STABLE_SECONDS else self.failures
        wait = min(FIRST_BACKOFF_SECONDS * 4.0**self.failures, MAX_BACKOFF_SECONDS)
        self.failures += 1
        return wait

    def state(self) -> str:
        """One word for `status`."""
        if self.restart_at:
            return "restarting"
        return "running" if self.reached else "starting"

    def record(self) -> dict[str, Any]:
        """What services.json says about it."""
        since = datetime.fromtimestamp(self.identity.created, UTC).isoformat(timespec="seconds")
        return {
            "title": self.spec.title,
            "pid": 0 if self.restart_at else self.identity.pid,
            "created": self.identity.created,
            "state": self.state(),
            "port": self.spec.port,
            "url": self.spec.url,
            "log": self.spec.log,
            "since": since,
            "restarts": self.restarts,
        }


class Supervisor:
    """Keeps the planned services of one home alive until it is told to stop."""

    def __init__(self, home: Path) -> None:
        self.files = StackFiles(home)
        self.home = home
        self.me = processes.identify(os.getpid())
        self.watched: dict[str, Watched] = {}
        self.stop = threading.Event()
        self.reload = threading.Event()
        self.written: dict[str, Any] = {}

    def run(self) -> None:
        """Serve until SIGTERM, or until the owner of the stack is gone; then stop every service."""
        signal.signal(signal.SIGTERM, lambda *_: self.stop.set())
        signal.signal(signal.SIGINT, lambda *_: self.stop.set())
        signal.signal(signal.SIGHUP, lambda *_: self.reload.set())
        owner = self._owner()
        self._take_plan()
        while not self.stop.wait(POLL_SECONDS):
            is_asked = self.reload.is_set()
            if is_asked:
                self.reload.clear()
                self._take_plan()
                owner = self._owner()
            if owner is not None and not owner.is_alive():
                self._say(f"owner {owner.pid} is gone; stopping")
                break
            self._watch()
            if is_asked:
                # After the look: who asks may have seen a service die before we did.
                self._end_pauses()
        self._stop_all()

    def _owner(self) -> Identity | None:
        pid = self.files.read_owner()
        return processes.identify(pid) if pid and psutil.pid_exists(pid) else None

    def _take_plan(self) -> None:
        recorded = self.files.recorded()
        for spec in self.files.read_plan():
            if spec.name in self.watched:
                continue
            left_over = recorded.get(spec.name)
            if left_over is not None and left_over.is_alive():
                self._say(f"{spec.name}: took over pid {left_over.pid}")
                self.watched[spec.name] = Watched(spec, left_over)
            else:
                self.watched[spec.name] = self._spawn(spec)
            self._write()
        self._write()

    def _end_pauses(self) -> None:
        """Who asks for the stack has mended what it died of, or wants to see it die: neither waits for a back-off."""
        for service in self.watched.values():
            if service.restart_at:
                service.restart_at = processes.now()

    def _spawn(self, spec: ServiceSpec) -> Watched:
        environment = {
            **os.environ,
            **spec.env,
            processes.MARK: processes.mark(spec.name, str(self.home)),
        }
        with Path(spec.output).open("ab") as output:
            child = subprocess.Popen(
                spec.command,
                cwd=spec.cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._say(f"{spec.name}: started pid {child.pid}")
        return Watched(spec, _identity_of(child), child)

    def _watch(self) -> None:
        now = processes.now()
        for name, service in self.watched.items():
            if service.restart_at:
                if now >= service.restart_at:
                    self._restart(name, service)
            elif not service.is_alive():
                wait = service.backoff(now)
                code = service.child.returncode if service.child is not None else "unknown"
                self._say(f"{name}: pid {service.identity.pid} died (exit {code}); again in {wait:g} s")
                service.restart_at = now + wait
                service.reached = False
            elif not service.reached:
                service.reached = service.spec.port == 0 or ports.is_open(service.spec.port)
        self._write()

    def _restart(self, name: str, service: Watched) -> None:
        fresh = self._spawn(service.spec)
        fresh.restarts = service.restarts + 1
        fresh.failures = service.failures
        self.watched[name] = fresh

    def _stop_all(self) -> None:
        # In reverse order: clients before the services they use.
        for name, service in reversed(self.watched.items()):
            process = service.identity.process()
            if process is None or service.restart_at:
                continue
            killed = processes.end([process], service.spec.stop_seconds, service.spec.stop_signal)
            if service.child is not None:
                service.child.wait()
            self._say(f"{name}: {'killed' if killed else 'stopped'}")
        processes.end(processes.marked(str(self.home)), 3)
        self.files.forget()
        self._say("stopped")

    def _write(self) -> None:
        records = {name: service.record() for name, service in self.watched.items()}
        if records != self.written:
            self.files.write_services(self.me, records)
            self.written = records

    def _say(self, text: str) -> None:
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        sys.stdout.write(f"{stamp} {text}\n")
        sys.stdout.flush()


def _identity_of(child: "subprocess.Popen[bytes]") -> Identity:
    # A child that died at once is a zombie until we poll it, so it still has a start time.
    return processes.identify(child.pid)


if __name__ == "__main__":
    Supervisor(Path(sys.argv[1])).run()
