"""Which process works on a run, as a tag that says it to every other process.

Here: writing and reading the tag. Not here: who acts on it.
"""

import os
import socket

from lakehouse.engine.embedded.processes import Identity, identify

PROCESS_TAG = ".lakehouse/process"


def own_mark() -> str:
    """This process: its host, and the pid with the start time, because pids are used again."""
    me = identify(os.getpid())
    return f"{socket.gethostname()}/{me.pid}/{me.created:.3f}"


def read_mark(mark: str) -> tuple[str, Identity] | None:
    """Host and process of a mark; None when there is none."""
    parts = mark.rsplit("/", 2)
    return (parts[0], Identity(int(parts[1]), float(parts[2]))) if len(parts) == 3 else None
