"""Locks between processes of one machine, let go by the system when their holder dies. Here: waiting for one.

They are a convenience and a second line: what makes batches exactly-once are their numbers in the Delta log.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from lakehouse.engine.storage import storage_errors
from lakehouse.errors import LakehouseError
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings

Guard = Callable[[], AbstractContextManager[None]]
"""What holds a lock for the time of one statement."""


class LockBusyError(LakehouseError):
    """The lock was not free in time; `holder` is the process that has it, as far as it is known."""

    code = "LOCK_BUSY"
    retryable = True

    def __init__(self, path: Path, holder: str) -> None:
        self.holder = holder
        super().__init__(
            f"Process {holder} holds the lock {path}.",
            why="It writes the same tables; two at once would only hinder each other.",
            fix="Wait for it to end, then run the same command again.",
        )


@contextmanager
def exclusive(path: Path, wait_seconds: float) -> Iterator[None]:
    """Hold the lock file `path` within the block.

    Raises:
        LockBusyError: it was not free within `wait_seconds`.
        DiskFullError, SetupError: there is no place for it.
    """
    deadline = time.monotonic() + wait_seconds
    with storage_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("a+", encoding="utf-8")
    with opened as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    file.seek(0)
                    raise LockBusyError(path, file.read().strip() or "?") from error
                time.sleep(0.05)
        # Who holds it is a courtesy to those who wait; a full disk must not take the lock away.
        with suppress(OSError):
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), str(os.getpid()).encode())
        yield


def lake_lock(settings: Settings, name: str) -> Path:
    """A lock of the lake's own: whoever works on it from this machine sees it, with whatever state folder."""
    return Path(LakePaths.of(settings).root) / "locks" / name


def bronze_lock(settings: Settings, stream: str) -> Path:
    """The lock of whoever commits to a stream's bronze: micro-batches, and Spark when it rewrites files."""
    return lake_lock(settings, f"bronze-{stream}")


def silver_lock(settings: Settings, stream: str) -> Path:
    """The lock of whoever writes a stream's silver: a merge must not fall between a backfill's read and its commit."""
    return lake_lock(settings, f"silver-{stream}")


def speed_lock(settings: Settings) -> Path:
    """The lock of whoever writes the speed tables."""
    return lake_lock(settings, "speed")
