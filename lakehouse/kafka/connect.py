"""Kafka Connect over its REST interface: deploy, ask, pause, resume, restart, delete a connector.

Here: requests and what their failures mean. Not here: connector configurations (`kafka.connectors`), the process.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lakehouse.errors import LakehouseError, UsageError
from lakehouse.settings import Settings

if TYPE_CHECKING:
    import httpx

_POLL_SECONDS = 0.2
_REBALANCE_SECONDS = 30.0


class ConnectUnreachableError(LakehouseError):
    """No Kafka Connect answers at the configured address."""

    code = "CONNECT_UNREACHABLE"
    retryable = True


class ConnectorFailedError(LakehouseError):
    """A connector or one of its tasks has failed; Connect does not start it again by itself."""

    code = "CONNECTOR_FAILED"


@dataclass(frozen=True)
class ConnectorStatus:
    """A connector as Connect sees it: its state and its tasks', RUNNING, PAUSED, FAILED, UNASSIGNED …, and traces."""

    name: str
    state: str
    tasks: tuple[str, ...]
    traces: tuple[str, ...] = ()

    @property
    def is_running(self) -> bool:
        """Does the connector run, with at least one task, and each of them as well?"""
        return self.state == "RUNNING" and bool(self.tasks) and set(self.tasks) == {"RUNNING"}

    @property
    def has_failed(self) -> bool:
        """Has the connector or a task failed?"""
        return "FAILED" in (self.state, *self.tasks)


class Connect:
    """A client of one Connect cluster.

    Args:
        url: Address of its REST interface.
        timeout_seconds: For one request.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 20) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout_seconds

    @classmethod
    def of(cls, settings: Settings) -> "Connect":
        """The configured cluster.

        Raises:
            UsageError: none is configured.
        """
        if settings.connect_url is None:
            raise UsageError(
                "No Kafka Connect is configured.",
                fix="Start one: lakehouse up --with cdc. Or set KAFKA_CONNECT_URL.",
            )
        return cls(settings.connect_url)

    def version(self) -> str:
        """Connect's version; asks nothing else."""
        return str(self._ask("GET", "/")["version"])

    def names(self) -> list[str]:
        """The deployed connectors."""
        return sorted(self._ask("GET", "/connectors"))

    def deploy(self, name: str, config: dict[str, str]) -> bool:
        """Create a connector, or change its configuration; False when it had exactly this one already.

        Raises:
            UsageError: Connect refuses the configuration.
        """
        path = f"/connectors/{quote(name, safe='')}"
        if name in self.names():
            known = self._ask("GET", f"{path}/config")
            if known == {"name": name, **config}:
                return False
        self._ask("PUT", f"{path}/config", config)
        return True

    def status(self, name: str) -> ConnectorStatus:
        """State of a connector and of its tasks.

        Raises:
            UsageError: there is none of this name.
        """
        found = self._ask("GET", f"/connectors/{quote(name, safe='')}/status")
        parts = [found["connector"], *found["tasks"]]
        return ConnectorStatus(
            name=name,
            state=found["connector"]["state"],
            tasks=tuple(task["state"] for task in found["tasks"]),
            traces=tuple(part["trace"] for part in parts if part.get("trace")),
        )

    def wait_running(self, name: str, seconds: float) -> ConnectorStatus:
        """Wait until the connector and its tasks run.

        Raises:
            ConnectorFailedError: one failed, or they do not run within the time.
        """
        deadline = time.monotonic() + seconds
        state = "not deployed"
        while time.monotonic() < deadline:
            if name in self.names():
                found = self._known(name)
                if found is not None and found.is_running:
                    return found
                if found is not None and found.has_failed:
                    raise ConnectorFailedError(
                        f"Connector {name} has failed.",
                        why=reason(found),
                        fix=f"Mend the cause; then: lakehouse connector restart {name}",
                    )
                state = found.state if found else "unassigned"
            time.sleep(_POLL_SECONDS)
        raise ConnectorFailedError(
            f"Connector {name} does not run after {seconds:g} s.",
            why=f"Its state is {state}.",
            fix=f"lakehouse connector logs {name}",
        )

    def _known(self, name: str) -> ConnectorStatus | None:
        """The status; None in the moment between a deployment and the first report."""
        try:
            return self.status(name)
        except UsageError:
            return None

    def pause(self, name: str) -> None:
        """Stop reading or writing; the position and, for PostgreSQL, the slot stay."""
        self._ask("PUT", f"/connectors/{quote(name, safe='')}/pause")

    def resume(self, name: str) -> None:
        """Go on after a pause."""
        self._ask("PUT", f"/connectors/{quote(name, safe='')}/resume")

    def restart(self, name: str, *, only_failed: bool = True) -> None:
        """Start the connector and its tasks anew, by default only what has failed."""
        options = f"includeTasks=true&onlyFailed={str(only_failed).lower()}"
        self._ask("POST", f"/connectors/{quote(name, safe='')}/restart?{options}")

    def delete(self, name: str) -> None:
        """Remove a connector; its position stays in Connect's own topics."""
        self._ask("DELETE", f"/connectors/{quote(name, safe='')}")

    def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        import httpx

        deadline = time.monotonic() + _REBALANCE_SECONDS
        while True:
            try:
                answer = httpx.request(method, f"{self._url}{path}", json=body, timeout=self._timeout)
            except httpx.HTTPError as error:
                raise ConnectUnreachableError(
                    f"No Kafka Connect answers at {self._url}.",
                    why=f"{type(error).__name__}: {error}",
                    fix="See `lakehouse status`, or start it: lakehouse up --with cdc",
                ) from error
            # 409: the workers are sharing out connectors at this moment.
            if answer.status_code != 409 or time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        if answer.is_success:
            return answer.json() if answer.content else None
        raise self._refused(answer, path)

    def _refused(self, answer: "httpx.Response", path: str) -> LakehouseError:
        try:
            why = str(answer.json().get("message", ""))
        except ValueError:
            why = answer.text
        if answer.status_code == 404:
            name = path.split("/")[2].split("?", maxsplit=1)[0] if path.count("/") > 1 else path
            return UsageError(
                f"There is no connector {name!r} at {self._url}.",
                why=why[:500],
                fix=f"Deployed: {', '.join(self.names()) or 'none'}. Deploy one: lakehouse connector deploy",
            )
        if answer.status_code == 400:
            return UsageError("Kafka Connect refuses this configuration.", why=why[:1500])
        return ConnectUnreachableError(
            f"Kafka Connect at {self._url} answered {answer.status_code}.",
            why=why[:500],
            fix="lakehouse connector logs",
        )


def reason(status: ConnectorStatus) -> str:
    """The causes in the traces, without the stack."""
    lines = [line.strip() for trace in status.traces for line in trace.splitlines()]
    telling = [line for line in lines if line and not line.startswith(("at ", "...", "\tat"))]
    return " ".join(dict.fromkeys(telling))[:800]
