"""Named places where a test may kill the process. Here: the kill. Not here: what survives it (the fault tests)."""

import os
import signal

DRAIN_POINTS = (
    "after_plan",
    "after_bronze_commit",
    "between_bronze_and_silver",
    "after_quarantine",
    "before_dlq_flush",
    "after_dlq_flush",
    "after_silver_commit",
)
POINTS = (*DRAIN_POINTS, "after_compaction")
_passed: dict[str, int] = {}


def crash_point(name: str) -> None:
    """Die by SIGKILL here when `LAKEHOUSE_CRASH_AT` is `<name>` or `<name>:<nth pass>`; else do nothing.

    Raises:
        ValueError: when the name is not listed in POINTS, so that a misspelt point cannot go unnoticed.
    """
    if name not in POINTS:
        raise ValueError(f"{name!r} is no crash point; known: {', '.join(POINTS)}")
    wanted = os.environ.get("LAKEHOUSE_CRASH_AT")
    if not wanted:
        return
    point, _, nth = wanted.partition(":")
    if point != name:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] >= int(nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
