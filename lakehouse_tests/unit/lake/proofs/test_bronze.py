"""The chain of batches: whole, broken, or mended by a recorded gap."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import TopicTruncatedError
from lakehouse.kafka.offsets import TopicState
from lakehouse.lake.plan import Plan
from lakehouse.lake.planner import chain_breaks, gap_plan, resume_points

TODAY, NOW = date(2026, 11, 20), datetime(2026, 11, 20, 12, tzinfo=UTC)


def plan(batch: int, first: int, end: int) -> Plan:
    return Plan("sales", "t1", batch, {0: first}, {0: end}, TODAY, "w", ("t1",))


def gap(last: Plan | None, state: TopicState) -> Plan | None:
    return gap_plan("sales", last, state, who="ada", why="disk full", at=NOW, writer="w")


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20))
def test_a_chain_without_gaps_is_whole(sizes: list[int]) -> None:
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    plans = [plan(n, end - size, end) for n, (size, end) in enumerate(zip(sizes, ends, strict=True))]
    assert list(chain_breaks(plans)) == []


def test_a_lost_range_and_a_lost_batch_are_named() -> None:
    whole = [plan(0, 0, 10), plan(1, 10, 20), plan(2, 20, 30)]
    assert list(chain_breaks([whole[0], replace(whole[1], start={0: 12})])) == [
        "partition 0: batch 0 ended at 10, the next starts at 12"
    ]
    assert "batch 2 follows batch 0" in list(chain_breaks([whole[0], whole[2]]))


def test_a_change_of_topic_that_nobody_accepted_is_named() -> None:
    assert "another topic id" in next(chain_breaks([plan(0, 0, 10), replace(plan(1, 0, 3), topic_id="t2")]))


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_behind_a_recorded_gap_reading_goes_on_and_the_chain_is_whole(read: int, lost: int, waiting: int) -> None:
    last = plan(0, 0, read)
    seen = TopicState("topic", "t1", {0: read + lost}, {0: read + lost + waiting})
    found = gap(last, seen)
    if lost == 0:
        assert found is None
        return
    assert found is not None
    assert found.gap is not None
    assert (found.gap.offsets, found.span, found.ranges) == (lost, 0, {})
    assert resume_points("sales", found, seen) == {0: read + lost}
    assert list(chain_breaks([last, found])) == []
    assert Plan.from_metadata(json.loads(json.dumps(found.to_metadata()))) == found


def test_a_topic_made_anew_is_a_second_generation_read_from_its_first_offset() -> None:
    last = plan(4, 0, 10)
    seen = TopicState("topic", "t2", {0: 2, 1: 0}, {0: 5, 1: 0})
    found = gap(last, seen)
    assert found is not None
    assert found.gap is not None
    assert (found.batch, found.generations, found.gap.lost) == (5, ("t1", "t2"), {0: (0, 2)})
    assert resume_points("sales", found, seen) == {0: 2, 1: 0}
    assert list(chain_breaks([last, found])) == []


def test_no_gap_answers_a_topic_that_lost_its_end() -> None:
    with pytest.raises(TopicTruncatedError):
        gap(plan(0, 0, 10), TopicState("topic", "t1", {0: 0}, {0: 8}))


def test_a_stream_that_never_read_has_no_gap() -> None:
    assert gap(None, TopicState("topic", "t1", {0: 7}, {0: 9})) is None
