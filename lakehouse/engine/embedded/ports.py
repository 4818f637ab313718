"""Free ports on the loopback interface, and who holds the taken ones.

Here: choosing, promising and naming. Not here: which service prefers which port.
"""

import fcntl
import socket
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

LOOPBACK = "127.0.0.1"
SEARCH_WIDTH = 50


def is_free(port: int) -> bool:
    """Can a server bind this port on 127.0.0.1 now, with nobody listening on any other address either?"""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return not is_open(port)


def is_open(port: int, timeout_seconds: float = 0.5) -> bool:
    """Does anything accept connections on 127.0.0.1:port?"""
    try:
        socket.create_connection((LOOPBACK, port), timeout=timeout_seconds).close()
    except OSError:
        return False
    return True


class Promises:
    """Ports on which services are about to listen: of stacks that start together, each chooses its own.

    A promise is the lock of a file in `folder`, the same one for all stacks of a user. It ends with the block, and with
    the process; the files stay, and are empty.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Nothing is promised yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Whoever was promised a port listens on it by now."""
        self._held.close()

    def take(self, port: int) -> bool:
        """Whether nobody else was promised the port; it is promised to us then."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = (self._folder / str(port)).open("a")
        except OSError:
            # Without a folder to write to there are no promises; few stacks start at the same moment.
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._held.enter_context(file)
        return True


def choose(preferred: int, avoid: set[int], promises: Promises) -> int:
    """The preferred port when it is free, else the next free one, else any free one."""
    for port in range(preferred, min(preferred + SEARCH_WIDTH, 65536)):
        if port not in avoid and promises.take(port) and is_free(port):
            return port
    return any_free(avoid)


def any_free(avoid: set[int]) -> int:
    """A free port that the operating system picks."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if port not in avoid:
            return port


def holder(port: int) -> str:
    """Who listens on the port: `java (pid 4711)`, or "another process" when the system does not tell."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "another process"
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or connection.laddr.port != port or not connection.pid:
            continue
        try:
            return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
        except psutil.Error:
            continue
    return "another process"


def is_held_by(port: int, pid: int) -> bool:
    """Does this process, or one that it started, listen on the port? Also true when the system does not tell."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        listening = [entry for member in family for entry in member.net_connections(kind="tcp")]
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    return any(entry.status == psutil.CONN_LISTEN and entry.laddr.port == port for entry in listening)
