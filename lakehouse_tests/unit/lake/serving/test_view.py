"""The serving view over any arrival order and any time of the batch run: no event is counted twice, none of a complete
day is missing. And what the batch view's record says about complete days.
"""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.lake.batch.daily_views import BatchRecord, is_settled
from lakehouse.lake.serving.view import union_sql

DAY = date(2026, 11, 18)
START = datetime(2026, 11, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)
DELAY = timedelta(minutes=5)
# Events of three days: when each happened (minutes since the start) and how much later it arrived.
EVENTS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3 * 1440 - 1), st.sampled_from([1439, 1440, 2879, 2880])),
        st.one_of(st.just(0), st.integers(0, 8), st.integers(0, 2000)),
        st.sampled_from(["U1", "U2"]),
    ),
    max_size=25,
)


@pytest.fixture(scope="module")
def duck() -> Any:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(
            "create table batch (user_id varchar, event_type varchar, event_count bigint,"
            " total_revenue decimal(22,2), last_event timestamptz, date date)"
        )
        connection.execute(
            "create table speed (window_start timestamptz, user_id varchar, event_type varchar, event_count bigint,"
            " total_revenue decimal(22,2), last_event timestamptz)"
        )
        yield connection


@settings(max_examples=60, deadline=None)
@given(events=EVENTS, batch_at=st.integers(0, 4 * 24 * 60))
def test_no_event_is_counted_twice_and_none_of_a_complete_day_is_missing(
    duck: Any, events: list[tuple[int, int, str]], batch_at: int
) -> None:
    minute = timedelta(minutes=1)
    arrived = sorted((START + (at + wait) * minute, START + at * minute, user) for at, wait, user in events)
    batch_time = START + batch_at * minute
    # The batch layer: all that had arrived, for every day that had settled.
    record = BatchRecord(DAY, {}, frozenset(
        day.isoformat() for day in (DAY + timedelta(days=n) for n in range(4)) if is_settled(day, batch_time)
    ))  # fmt: skip
    batch: Counter[tuple[date, str]] = Counter(
        (at.date(), user)
        for when, at, user in arrived
        if when <= batch_time and at.date().isoformat() in record.complete
    )
    # The speed layer: each arrival is a batch of its own; who comes behind the watermark is left out.
    speed: Counter[tuple[datetime, str]] = Counter()
    newest = None
    for _, at, user in arrived:
        if newest is None or newest - DELAY <= at:
            speed[at, user] += 1
        newest = max(newest or at, at)
    duck.execute("delete from batch; delete from speed")
    for (day, user), count in batch.items():
        duck.execute("insert into batch values (?, 'view', ?, 0, null, ?)", [user, count, day])
    for (at, user), count in speed.items():
        duck.execute("insert into speed values (?, ?, 'view', ?, 0, ?)", [at, user, count, at])

    served = duck.execute(f"select date, user_id, event_count from ({union_sql(record.boundary)})").fetchall()

    keys = [(day, user) for day, user, _ in served]
    assert len(keys) == len(set(keys)), "one answer per day and user"
    boundary = record.boundary
    wanted: Counter[tuple[date, str]] = Counter()
    for (day, user), count in batch.items():
        wanted[day, user] += count
    for (at, user), count in speed.items():
        if boundary is None or at.date() > boundary:
            wanted[at.date(), user] += count
    assert {(day, user): count for day, user, count in served} == wanted
    truth = Counter((at.date(), user) for _, at, user in arrived)
    assert all(count <= truth[key] for key, count in wanted.items()), "nothing is counted twice"
    if not any(wait for _, wait, _ in events):
        assert wanted == truth, "without late events nothing is missing"


def test_the_boundary_is_the_end_of_the_complete_days_since_the_first() -> None:
    days = ["2026-11-18", "2026-11-19", "2026-11-21"]
    assert BatchRecord(DAY, {}, frozenset(days)).boundary == date(2026, 11, 19), "a gap ends it"
    assert BatchRecord(DAY, {}, frozenset(days[1:])).boundary is None
    assert BatchRecord(DAY, {}, frozenset()).boundary is None


def test_a_day_settles_two_hours_after_its_end() -> None:
    assert not is_settled(DAY, START + 26 * HOUR - timedelta(seconds=1))
    assert is_settled(DAY, START + 26 * HOUR)
