"""What the supervisor must know of a service: pure data, so that it can be written down and read again.

Here: the description of a service and of its state. Not here: how any particular service is built.
"""

import signal
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class ServiceSpec:
    """One process to keep alive.

    Attributes:
        name: Short name, as in `lakehouse status`.
        title: Name with version, for people.
        command: Argument list; the first entry is the program.
        cwd: Working folder.
        env: Variables on top of the supervisor's own.
        port: Port it listens on, or 0 when it has none.
        url: Address that clients use.
        log: File a person should read when it fails.
        output: File that takes stdout and stderr.
        endpoint: Setting under which `url` is published in endpoints.json, or "".
        stop_seconds: Time it gets between `stop_signal` and SIGKILL.
        stop_signal: Asks it to end.
        more_endpoints: Further settings and the addresses to publish under them.
    """

    name: str
    title: str
    command: list[str]
    cwd: str
    port: int
    url: str
    log: str
    output: str
    endpoint: str = ""
    env: dict[str, str] = field(default_factory=dict)
    stop_seconds: float = 10
    stop_signal: int = signal.SIGTERM
    more_endpoints: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON. What is rarely set is left out: a supervisor of an earlier release reads it, too."""
        values = asdict(self)
        if self.stop_signal == signal.SIGTERM:
            del values["stop_signal"]
        if not self.more_endpoints:
            del values["more_endpoints"]
        return values


@dataclass(frozen=True)
class ServiceStatus:
    """A service as it is now.

    Attributes:
        state: running, starting, restarting or stopped.
        since: Start of the present process, ISO 8601 in UTC, or "".
        restarts: How often it was started again after it died.
    """

    name: str
    state: str
    pid: int
    port: int
    url: str
    since: str
    log: str
    restarts: int
