"""Aggregates over windows of event time, tumbling or sliding, that can be continued from an earlier result.

Here: pure functions. Not here: lateness (`transforms.watermarks`), when a window is closed and where results are kept
(`lake.speed`). Every measure of a window can be merged from the measures of its parts, so a result for some rows and a
result for later rows give the result for both.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WINDOW_COLUMNS = ("window_start", "window_end")


class Measure(NamedTuple):
    """One figure of a window: SQL over rows, and SQL that merges the figures (by the measure's own name) of parts."""

    name: str
    of_rows: str
    of_parts: str


EVENT_COUNT = Measure("event_count", "count(*)", "sum(event_count)")


def windowed(
    rows: "DataFrame",
    *,
    time: str,
    size: timedelta,
    keys: Sequence[str],
    measures: Sequence[Measure],
    slide: timedelta | None = None,
) -> "DataFrame":
    """Measures by window and keys.

    Args:
        rows: Events; a row without a time is in no window.
        time: Column of type timestamp.
        size: Length of a window.
        keys: Columns to group by besides the window.
        measures: What to compute.
        slide: Distance between the starts of two windows, counted from 1970-01-01 UTC; without it windows do not
            overlap. An event is in size / slide windows.

    Returns:
        `window_start`, `window_end` (exclusive), the keys, the measures.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    window = F.window(time, _interval(size), _interval(slide or size))
    grouped = rows.groupBy(window.alias("_window"), *keys).agg(*(F.expr(m.of_rows).alias(m.name) for m in measures))
    return grouped.selectExpr(
        "_window.start AS window_start", "_window.end AS window_end", *_names(keys), *_names(m.name for m in measures)
    )


def merged(parts: "DataFrame", *, keys: Sequence[str], measures: Sequence[Measure]) -> "DataFrame":
    """Several results of `windowed` as one: rows of the same window and keys become one row."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    return parts.groupBy(*WINDOW_COLUMNS, *keys).agg(*(F.expr(m.of_parts).alias(m.name) for m in measures))


def _names(columns: Iterable[str]) -> list[str]:
    return [f"`{name}`" for name in columns]


def _interval(duration: timedelta) -> str:
    return f"{int(duration.total_seconds())} seconds"
