"""What is written down about a running stack: the plan, the processes, the addresses, the lock.

Here: the files in `<home>/run`, services.json, endpoints.json. Not here: starting or stopping anything.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lakehouse.engine.embedded.files import write_atomically
from lakehouse.engine.embedded.processes import Identity
from lakehouse.engine.embedded.service import ServiceSpec


class StackFiles:
    """The state files of the stack at one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.run = home / "run"
        self.plan = self.run / "plan.json"
        self.lock = self.run / "stack.lock"
        self.services = home / "services.json"
        self.endpoints = home / "endpoints.json"
        self.supervisor_log = home / "logs" / "supervisor.log"

    def read_plan(self) -> list[ServiceSpec]:
        """The services the supervisor keeps alive; none when there is no plan."""
        return [ServiceSpec(**entry) for entry in _read(self.plan).get("services", [])]

    def read_owner(self) -> int:
        """Process id whose end ends the stack, or 0."""
        return int(_read(self.plan).get("owner_pid", 0))

    def write_plan(self, specs: list[ServiceSpec], owner_pid: int) -> None:
        """Say what the supervisor shall keep alive. Only the user may read it: it carries variables."""
        text = json.dumps({"owner_pid": owner_pid, "services": [spec.to_dict() for spec in specs]}, indent=1)
        write_atomically(self.plan, text, mode=0o600)

    def read_services(self) -> dict[str, Any]:
        """The content of services.json; empty when no stack was started."""
        return _read(self.services)

    def write_services(self, supervisor: Identity, services: dict[str, dict[str, Any]]) -> None:
        """Write down who runs. Only the user may read it: addresses may carry a token."""
        document = {"supervisor": {"pid": supervisor.pid, "created": supervisor.created}, "services": services}
        write_atomically(self.services, json.dumps(document, indent=1), mode=0o600)

    def supervisor(self) -> Identity | None:
        """The running supervisor, or None; a stale entry counts as none."""
        entry = self.read_services().get("supervisor")
        identity = Identity(entry["pid"], entry["created"]) if entry else None
        return identity if identity is not None and identity.is_alive() else None

    def recorded(self) -> dict[str, Identity]:
        """The recorded process of each service, alive or not."""
        entries = self.read_services().get("services", {})
        return {name: Identity(entry["pid"], entry["created"]) for name, entry in entries.items() if entry["pid"]}

    def read_endpoints(self) -> dict[str, str]:
        """The addresses that the running stack published, by setting; none when no stack runs."""
        return _read(self.endpoints)

    def write_endpoints(self, specs: list[ServiceSpec]) -> None:
        """Publish the addresses under the names of their settings, to this user."""
        addresses = {spec.endpoint: spec.url for spec in specs if spec.endpoint}
        for spec in specs:
            addresses |= spec.more_endpoints
        write_atomically(self.endpoints, json.dumps(addresses, indent=1) + "\n", mode=0o600)

    def forget(self) -> None:
        """Remove what describes a running stack."""
        for path in (self.endpoints, self.services, self.plan):
            path.unlink(missing_ok=True)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock that lets one `up` or `down` at a time through; wait for it."""
        self.run.mkdir(parents=True, exist_ok=True)
        with self.lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
