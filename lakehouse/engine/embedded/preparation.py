"""What must be there before a service starts: a folder with room, the archives that it runs from.

Here: checking and fetching, and how progress is told to people. Not here: which services are wanted (`planning`).
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lakehouse.engine.embedded import jars, registry
from lakehouse.errors import SetupError
from lakehouse.settings import Settings

MIN_FREE_BYTES = 1024**3


@dataclass(frozen=True)
class Progress:
    """One step of a start, for people.

    Attributes:
        step: What it is about: packages, a service's title, …
        state: working, done or note.
        detail: One short sentence.
        share: 0 to 1 where it is known, else None.
    """

    step: str
    state: str
    detail: str = ""
    share: float | None = None


Report = Callable[[Progress], None]


def check_folder(home: Path) -> None:
    """The state folder must be writable and have room.

    Raises:
        SetupError: it is not, or has less than 1 GB free.
    """
    try:
        for folder in (home, home / "logs", home / "run"):
            folder.mkdir(parents=True, exist_ok=True)
        probe = home / "run" / f".probe-{os.getpid()}"
        probe.write_text("", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        raise SetupError(
            f"The state folder {home} cannot be written: {error.strerror}.",
            fix="Set LAKEHOUSE_HOME to a folder that you may write.",
        ) from error
    free = shutil.disk_usage(home).free
    if free < MIN_FREE_BYTES:
        raise SetupError(
            f"Only {free / 1e6:,.0f} MB are free where {home} lies.",
            why=f"The broker and Spark need at least {MIN_FREE_BYTES / 1e6:,.0f} MB.",
            fix="Free some space, or set LAKEHOUSE_HOME to a folder on another disk.",
        )


def fetch_jars(settings: Settings, report: Report, lock_file: Path = jars.LOCK_FILE) -> int:
    """Make the jars of a lock present, reporting bytes; return how many had to be downloaded."""
    began = time.monotonic()

    def on_bytes(done: int, total: int) -> None:
        report(Progress("Java archives", "working", f"{done / 1e6:.0f} of {total / 1e6:.0f} MB", done / total))

    count = jars.fetch(settings.cache_dir, on_bytes, lock_file=lock_file)
    if count:
        report(Progress("Java archives", "done", f"{count} files, {time.monotonic() - began:.1f} s"))
    return count


def fetch_registry(settings: Settings, report: Report) -> None:
    """Make the schema registry's archive present, reporting bytes."""
    began = time.monotonic()

    def on_bytes(done: int, total: int) -> None:
        report(Progress(registry.TITLE, "working", f"{done / 1e6:.0f} of {total / 1e6:.0f} MB", done / total))

    if registry.fetch(settings.cache_dir, on_bytes):
        report(Progress("Schema registry's archive", "done", f"{time.monotonic() - began:.1f} s"))
