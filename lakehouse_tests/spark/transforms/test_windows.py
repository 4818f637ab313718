"""Watermarks, windows, sessions and dimension joins on real Spark, at their boundaries."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse.transforms.sessions import session_parts, sessions
from lakehouse.transforms.watermarks import tops_by_batch, watermarks_by_batch, with_lateness
from lakehouse.transforms.windows import EVENT_COUNT, merged, windowed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark
MINUTE = timedelta(minutes=1)
SCHEMA = "name string, user string, at timestamp, batch bigint"


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-20T{clock}").replace(tzinfo=UTC)


def late(spark: "SparkSession", batches: list[list[tuple[str, str]]]) -> set[str]:
    """Names of the late events among (name, time), batch by batch, with ten minutes of patience."""
    rows = [(name, "U", at(time), batch) for batch, events in enumerate(batches) for name, time in events]
    frame = spark.createDataFrame(rows, SCHEMA)
    marks = watermarks_by_batch(tops_by_batch(frame, time="at", batch="batch"), None, 10 * MINUTE)
    flagged = with_lateness(frame, marks, time="at", batch="batch").where("is_late").collect()
    return {row["name"] for row in flagged}


def test_the_worked_example_of_a_watermark(spark: "SparkSession") -> None:
    early = [("E1", "10:00"), ("E2", "10:02"), ("E3", "10:05")]
    e4, e5 = ("E4", "10:03"), ("E5", "10:15")
    # The watermark is 9:55, ten minutes before 10:05, when E4 comes: kept, before E5 and beside it in either order.
    assert late(spark, [early, [e4], [e5]]) == set()
    assert late(spark, [early, [e4, e5]]) == set()
    assert late(spark, [early, [e5, e4]]) == set()
    # E5 has moved the watermark to 10:05 before E4 comes: dropped.
    assert late(spark, [early, [e5], [e4]]) == {"E4"}
    # On the watermark itself an event is kept, a second before it is not.
    assert late(spark, [early, [e5], [("on", "10:05"), ("below", "10:04:59")]]) == {"below"}


def test_each_event_is_in_five_sliding_windows_and_parts_add_up(spark: "SparkSession") -> None:
    clocks = ["12:00", "12:00:59", "12:04:59", "12:05", "23:59:30"]
    frame = spark.createDataFrame([(str(n), "U", at(clock), n % 2) for n, clock in enumerate(clocks)], SCHEMA)
    options: dict[str, Any] = {"keys": ["user"], "measures": [EVENT_COUNT]}

    def counted(rows: "DataFrame") -> "DataFrame":
        return windowed(rows, time="at", size=5 * MINUTE, slide=MINUTE, **options)

    wanted: Counter[tuple[datetime, datetime]] = Counter()
    for clock in clocks:
        minute = at(clock).replace(second=0)
        wanted.update((minute - back * MINUTE, minute + (5 - back) * MINUTE) for back in range(5))
    whole = counted(frame)
    assert as_counter(whole) == wanted
    assert sum(wanted.values()) == 5 * len(clocks)
    halves = counted(frame.where("batch = 0")).unionByName(counted(frame.where("batch = 1")))
    assert as_counter(merged(halves, **options)) == wanted


def as_counter(frame: "DataFrame") -> Counter[tuple[datetime, datetime]]:
    found = [(row["window_start"].astimezone(UTC), row["window_end"].astimezone(UTC), row["event_count"])
             for row in frame.collect()]  # fmt: skip
    assert len(found) == len({row[:2] for row in found})
    return Counter({(start, end): count for start, end, count in found})


def test_a_session_ends_after_thirty_minutes_and_can_be_continued(spark: "SparkSession") -> None:
    cases = {
        "just_inside": (["10:00", "10:29:59"], [("10:00", 2)]),
        "exactly": (["10:00", "10:30"], [("10:00", 1), ("10:30", 1)]),
        "chain": (["10:00", "10:20", "10:40", "11:00"], [("10:00", 4)]),
        "bridge": (["10:00", "10:50", "10:25"], [("10:00", 3)]),
        "long_then_inside": (["10:00", "10:29", "10:58", "10:05"], [("10:00", 4)]),
        "two": (["10:00", "11:00", "11:10"], [("10:00", 1), ("11:00", 2)]),
    }
    rows = [(str(n), user, at(clock), n) for user, (clocks, _) in cases.items() for n, clock in enumerate(clocks)]
    frame = spark.createDataFrame(rows, SCHEMA).selectExpr("*", "cast(1.5 AS decimal(12,2)) AS amount")
    parts = session_parts(frame, user="user", time="at", value="amount")
    wanted = {(user, at(start), count, 1.5 * count) for user, (_, found) in cases.items() for start, count in found}
    assert as_sessions(sessions(parts)) == wanted
    assert as_sessions(by_sparks_session_window(frame)) == wanted
    # What was found before goes on with what comes later, in both directions.
    for first in ("batch < 2", "batch >= 2", "batch % 2 = 0"):
        held = sessions(session_parts(frame.where(first), user="user", time="at", value="amount"))
        later = session_parts(frame.where(f"NOT ({first})"), user="user", time="at", value="amount")
        assert as_sessions(sessions(held.unionByName(later))) == wanted, first


def by_sparks_session_window(frame: "DataFrame") -> "DataFrame":
    """The same sessions by Spark's own operator, which joins what is exactly the gap apart: so the gap is less."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    grouped = frame.groupBy(
        F.col("user").alias("user_id"), F.session_window("at", "1799999999 microseconds").alias("session")
    )
    return grouped.agg(F.count("*").alias("event_count"), F.sum("amount").alias("total_value")).withColumn(
        "session_start", F.col("session.start")
    )


def as_sessions(frame: "DataFrame") -> set[tuple[Any, ...]]:
    return {
        (row["user_id"], row["session_start"].astimezone(UTC), row["event_count"], float(row["total_value"]))
        for row in frame.collect()
    }
