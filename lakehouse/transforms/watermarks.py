"""Watermarks by micro-batch: how late an event may be, decided by the batch in which it arrived and by nothing else.

Here: pure rules and the DataFrame that follows them. Not here: where batches come from, what is done with late rows.

The watermark during a batch is the highest event time of all batches before it, minus the allowed delay. An event is
late when the watermark of its own batch is greater than its time; at equality it is kept. So the answer does not depend
on when, or in how many steps, the batches are read. Times are microseconds since 1970: exact, and without a zone.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_MICRO = timedelta(microseconds=1)


def micros(duration: timedelta) -> int:
    """A duration in microseconds."""
    return duration // _MICRO


def newest(tops: Mapping[int, int], seen: int | None) -> int | None:
    """The highest event time so far: of these batches and of what was seen before them."""
    return max([*tops.values(), *([] if seen is None else [seen])], default=None)


def watermark(seen: int | None, delay: timedelta) -> int | None:
    """The watermark after the highest event time `seen`; None while nothing was seen."""
    return None if seen is None else seen - micros(delay)


def watermarks_by_batch(tops: Mapping[int, int], seen: int | None, delay: timedelta) -> dict[int, int]:
    """The watermark during each batch; a batch before which nothing was seen is left out.

    Args:
        tops: Batch number → highest event time in it, for consecutive steps of a stream.
        seen: Highest event time of all batches before these; None when there are none.
        delay: How far an event may lie behind the newest one.
    """
    found: dict[int, int] = {}
    for batch in sorted(tops):
        mark = watermark(seen, delay)
        if mark is not None:
            found[batch] = mark
        seen = tops[batch] if seen is None else max(seen, tops[batch])
    return found


def tops_by_batch(rows: "DataFrame", *, time: str, batch: str) -> dict[int, int]:
    """The highest event time of each batch."""
    found = rows.groupBy(batch).agg({time: "max"}).toDF("batch", "top").selectExpr("batch", "unix_micros(top) AS top")
    return {row["batch"]: row["top"] for row in found.collect()}


def with_lateness(
    rows: "DataFrame", marks: Mapping[int, int], *, time: str, batch: str, column: str = "is_late"
) -> "DataFrame":
    """The rows with one more boolean column: whether the watermark of the row's batch had passed its time."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    if not marks:
        return rows.withColumn(column, F.expr("false"))
    small = rows.sparkSession.createDataFrame(sorted(marks.items()), f"`{batch}` bigint, _watermark bigint")
    return (
        rows.join(F.broadcast(small), batch, "left")
        .withColumn(column, F.expr(f"coalesce(_watermark > unix_micros(`{time}`), false)"))
        .drop("_watermark")
    )
