"""Sessions: a user's events with less than a given pause between one and the next.

Here: pure functions that find sessions and continue open ones. Not here: lateness, when a session is closed, where
results are kept (`lake.speed`). Spark's `session_window` finds the same sessions in one go (a pause of exactly the gap
it still joins), but cannot go on from an earlier result outside of Structured Streaming; PySpark has no
`flatMapGroupsWithState`.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from lakehouse.transforms.windows import Measure

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

INACTIVITY = timedelta(minutes=30)
COLUMNS = ("user_id", "session_start", "last_event", "event_count", "total_value")


def session_parts(rows: "DataFrame", *, user: str, time: str, value: str, more: Sequence[str] = ()) -> "DataFrame":
    """Each event as a session of its own, to be put together by `sessions`.

    Args:
        rows: Events.
        user: Column of whoever the session belongs to.
        time: Column of type timestamp.
        value: Column to sum up; null counts as 0.
        more: Further columns to keep.
    """
    return rows.selectExpr(
        f"`{user}` AS user_id",
        f"`{time}` AS session_start",
        f"`{time}` AS last_event",
        "1L AS event_count",
        f"coalesce(`{value}`, 0) AS total_value",
        *more,
    )


def sessions(parts: "DataFrame", *, gap: timedelta = INACTIVITY, more: Sequence[Measure] = ()) -> "DataFrame":
    """Put parts together: those of a user with a pause shorter than `gap` between them are one session.

    A pause of exactly `gap` ends a session. Parts may be single events and sessions found before, in any order: the
    result is that of all their events at once.

    Args:
        parts: Rows in the shape of `COLUMNS`.
        gap: The inactivity after which a session is over.
        more: Further columns of the parts, and how they are merged.

    Returns:
        The same columns, one row per session.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    seconds = int(gap.total_seconds())
    order = "PARTITION BY user_id ORDER BY session_start, last_event"
    reached = parts.selectExpr(
        "*", f"max(last_event) OVER ({order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS _reached"
    )
    opened = reached.selectExpr(
        "*",
        f"CASE WHEN session_start < _reached + INTERVAL '{seconds}' SECOND THEN 0 ELSE 1 END AS _new",
    )
    numbered = opened.selectExpr("*", f"sum(_new) OVER ({order} ROWS UNBOUNDED PRECEDING) AS _number")
    return (
        numbered.groupBy("user_id", "_number")
        .agg(
            F.min("session_start").alias("session_start"),
            F.max("last_event").alias("last_event"),
            F.sum("event_count").alias("event_count"),
            F.sum("total_value").alias("total_value"),
            *(F.expr(measure.of_parts).alias(measure.name) for measure in more),
        )
        .drop("_number")
    )
