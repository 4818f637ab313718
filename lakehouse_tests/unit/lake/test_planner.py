"""Offsets arithmetic: whatever the broker shows, plans follow each other without hole or overlap, or refuse."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import PartitionsMissingError, ResumePointGoneError, TopicRecreatedError, TopicTruncatedError
from lakehouse.kafka.offsets import TopicState
from lakehouse.lake.plan import Plan
from lakehouse.lake.planner import WAIT_SECONDS, cap, next_plan, resume_points, within_rate
from lakehouse.settings import load_settings

DAY = date(2026, 11, 20)


def state(start: dict[int, int], end: dict[int, int], topic_id: str = "id") -> TopicState:
    return TopicState("topic", topic_id, start, end)


def plan_after(last: Plan | None, seen: TopicState, max_rows: int = 1000) -> Plan | None:
    return next_plan("s", last, seen, end=seen.end, day=DAY, max_rows=max_rows, writer="w")


@st.composite
def offsets(draw: st.DrawFn) -> tuple[dict[int, int], dict[int, int]]:
    partitions = draw(st.integers(1, 6))
    start = {p: draw(st.integers(0, 50)) for p in range(partitions)}
    return start, {p: start[p] + draw(st.integers(0, 100)) for p in start}


@given(offsets(), st.integers(1, 80))
def test_plans_cover_a_backlog_once_and_never_exceed_the_cap(
    backlog: tuple[dict[int, int], dict[int, int]], rows: int
) -> None:
    start, end = backlog
    seen = state(start, end)
    covered = {p: start[p] for p in start}
    last: Plan | None = None
    while (plan := plan_after(last, seen, rows)) is not None:
        assert 0 < plan.span <= rows
        assert plan.start == covered
        assert plan.batch == (0 if last is None else last.batch + 1)
        covered, last = plan.end, plan
    assert covered == end


@given(offsets(), st.integers(1, 80))
def test_the_cap_takes_all_of_a_backlog_that_fits(backlog: tuple[dict[int, int], dict[int, int]], rows: int) -> None:
    start, end = backlog
    total = sum(end[p] - start[p] for p in start)
    taken = sum(cap(start, end, rows)[p] - start[p] for p in start)
    assert taken == min(total, rows)


def test_a_thousand_rows_per_partition_and_second_of_waiting() -> None:
    rate = load_settings().max_rate_per_partition
    start = {0: 5, 1: 5, 2: 5, 3: 5}
    end = within_rate(start, {0: 10**6, 1: 10**6, 2: 105, 3: 10**6}, {0: 90.0, 1: 3.5, 2: 900.0}, rate)
    assert end == {0: 5 + 90_000, 1: 5 + 1000 * WAIT_SECONDS, 2: 105, 3: 5 + 1000 * WAIT_SECONDS}


def test_a_partition_added_later_is_read_from_its_first_record() -> None:
    last = plan_after(None, state({0: 0}, {0: 5}))
    plan = plan_after(last, state({0: 0, 1: 0}, {0: 5, 1: 7}))
    assert plan is not None
    assert plan.ranges == {1: [0, 7]}


def test_retention_past_the_resume_point_names_the_lost_range() -> None:
    last = plan_after(None, state({0: 0}, {0: 5}))
    with pytest.raises(ResumePointGoneError, match="partition 0: 5 to 8"):
        resume_points("s", last, state({0: 9}, {0: 20}))


def test_a_new_partition_that_already_lost_records_is_a_lost_range() -> None:
    last = plan_after(None, state({0: 0}, {0: 5}))
    with pytest.raises(ResumePointGoneError, match="partition 1: 0 to 2"):
        resume_points("s", last, state({0: 0, 1: 3}, {0: 5, 1: 9}))


@pytest.mark.parametrize("end", [3, 50])
def test_a_recreated_topic_is_refused_whether_it_is_shorter_or_longer(end: int) -> None:
    last = plan_after(None, state({0: 0}, {0: 5}))
    with pytest.raises(TopicRecreatedError):
        resume_points("s", last, state({0: 0}, {0: end}, topic_id="other"))


def test_a_topic_shorter_than_what_was_read_is_refused() -> None:
    last = plan_after(None, state({0: 0}, {0: 5}))
    with pytest.raises(TopicTruncatedError, match="read up to 5, topic ends at 4"):
        resume_points("s", last, state({0: 0}, {0: 4}))


def test_fewer_partitions_than_were_read_is_refused_and_tried_again() -> None:
    last = plan_after(None, state({0: 0, 1: 0}, {0: 5, 1: 5}))
    with pytest.raises(PartitionsMissingError) as caught:
        resume_points("s", last, state({0: 0}, {0: 5}))
    assert caught.value.retryable


def test_plans_survive_the_way_through_the_commit() -> None:
    import json

    plan = plan_after(None, state({0: 0, 11: 3}, {0: 5, 11: 3}))
    assert plan is not None
    assert Plan.from_metadata(json.loads(json.dumps(plan.to_metadata()))) == plan
