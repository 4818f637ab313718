"""Named places where a test may kill the process. Here: the kill. Not here: what survives it (the fault tests)."""

import os
import signal

DRAIN_POINTS = (
    "after_plan",
    "before_bronze_commit",
    "after_bronze_commit",
    "between_bronze_and_silver",
    "after_quarantine",
    "before_dlq_flush",
    "after_dlq_flush",
    "before_silver_commit",
    "after_silver_commit",
)
"""Within a drain, in the order in which a micro-batch passes them."""
HISTORY_POINTS = ("between_history_and_silver",)
REPLAY_POINTS = ("replay_after_silver", "replay_after_letters", "replay_after_quarantine")
RESEND_POINTS = ("resend_after_ack", "resend_after_mark")
KAPPA_POINTS = ("kappa_after_step", "kappa_after_silver")
RELAY_POINTS = ("relay_after_produce", "relay_before_commit")
MAINTENANCE_POINTS = ("after_compaction",)
RETENTION_POINTS = ("retention_after_archive", "retention_after_note", "retention_after_delete")
SINK_POINTS = ("after_staging", "after_merge", "after_load_commit")
"""Within a load of a sink: staged, merged but not committed, committed."""
EXTRACT_POINTS = ("extract_after_ack", "extract_after_note")
QUEUE_POINTS = ("queue_after_ack",)
EVOLUTION_POINTS = ("evolve_after_columns", "evolve_after_day")
SPEED_POINTS = ("speed_before_commit", "speed_after_commit", "speed_after_view")
POINTS = (
    *DRAIN_POINTS,
    *HISTORY_POINTS,
    *REPLAY_POINTS,
    *RESEND_POINTS,
    *KAPPA_POINTS,
    *RELAY_POINTS,
    *MAINTENANCE_POINTS,
    *RETENTION_POINTS,
    *SINK_POINTS,
    *EXTRACT_POINTS,
    *QUEUE_POINTS,
    *EVOLUTION_POINTS,
    *SPEED_POINTS,
)
_passed: dict[str, int] = {}


def crash_point(name: str) -> None:
    """Die by SIGKILL here when `LAKEHOUSE_CRASH_AT` is `<name>` or `<name>:<nth pass>`; else do nothing.

    Raises:
        ValueError: when the name is not listed here, so that a misspelt point cannot go unnoticed.
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
