"""Operating-system processes, identified so that a reused process id is never mistaken for ours.

Here: identity, place, marks, ending a process and its children. Not here: which processes there are.
"""

import os
import signal
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

# Every service carries this variable; so do its children. It finds what no file remembers.
MARK = "LAKEHOUSE_SERVICE"
SAME_START_SECONDS = 1.0


@dataclass(frozen=True)
class Identity:
    """A process id with its start (seconds since the epoch); together they are unique."""

    pid: int
    created: float

    def is_alive(self) -> bool:
        """Does exactly this process still run? A zombie does not."""
        return self.process() is not None

    def process(self) -> psutil.Process | None:
        """The process, or None when it ended or its id belongs to another one now."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < SAME_START_SECONDS
            running = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return process if same and running else None


def identify(pid: int) -> Identity:
    """The identity of a running process.

    Raises:
        psutil.NoSuchProcess: it is gone already.
    """
    return Identity(pid, psutil.Process(pid).create_time())


def own_place() -> str:
    """This process, for every other one to find: host, pid and start, because pids are used again."""
    me = identify(os.getpid())
    return f"{socket.gethostname()}/{me.pid}/{me.created:.3f}"


def read_place(place: str) -> tuple[bool, Identity] | None:
    """Whether a process named by `own_place` is of this host, and which it is; None when the text names none."""
    parts = place.rsplit("/", 2)
    if len(parts) != 3:
        return None
    return parts[0] == socket.gethostname(), Identity(int(parts[1]), float(parts[2]))


def mark(service: str, home: str) -> str:
    """The value of `MARK` for a service of the stack at this home."""
    return f"{service}@{home}"


def marked(home: str, services: Iterable[str] | None = None) -> list[psutil.Process]:
    """Running processes of this user that carry the mark of this home, without ourselves and our ancestors."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    wanted = None if services is None else {mark(name, home) for name in services}
    found = []
    for process in psutil.process_iter():
        try:
            value = process.environ().get(MARK, "") if process.pid not in ours else ""
            dead = process.status() == psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            continue
        matches = value in wanted if wanted is not None else value.endswith(f"@{home}")
        if value and matches and not dead:
            found.append(process)
    return found


def end(processes: list[psutil.Process], grace_seconds: float, how: int = signal.SIGTERM) -> int:
    """Signal `how` to all, wait, SIGKILL to the rest and to children they leave; return how many had to be killed."""
    family = {child.pid: child for process in processes for child in _children(process)}
    for process in processes:
        _signal(process, how)
    _, alive = psutil.wait_procs(processes, timeout=grace_seconds)
    leftovers = [*alive, *(child for child in family.values() if child.is_running())]
    for process in leftovers:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(leftovers, timeout=5)
    return len(alive)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        children: list[psutil.Process] = process.children(recursive=True)
    except psutil.Error:
        return []
    return children


def _signal(process: psutil.Process, how: int) -> None:
    try:
        process.send_signal(how)
    except psutil.NoSuchProcess:
        return


def now() -> float:
    """Seconds since the epoch."""
    return time.time()
