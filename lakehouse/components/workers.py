"""Which process works on a drain run, so that a run whose process vanished does not count as live for ever.

Dagster's own launcher does not look after its runs when the whole machine, or the embedded stack, went down. Here: the
mark a run carries and reading it. Not here: what is done about a lost run (`arrivals`).
"""

import os
import socket

import psutil

WORKER_TAG = "lakehouse/worker"


def this_worker() -> str:
    """The mark of this process: host, pid and start time, because pids are used again."""
    return f"{socket.gethostname()}/{os.getpid()}/{psutil.Process().create_time():.0f}"


def is_lost(mark: str) -> bool:
    """Whether the marked process certainly no longer runs; False when it is another machine's or there is no mark."""
    parts = mark.rsplit("/", 2)
    if len(parts) != 3 or parts[0] != socket.gethostname():
        return False
    try:
        return f"{psutil.Process(int(parts[1])).create_time():.0f}" != parts[2]
    except psutil.NoSuchProcess:
        return True
