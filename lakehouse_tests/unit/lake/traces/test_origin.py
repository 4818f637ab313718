"""Which batch brought an offset, and the reason when none did: over plans and a broker's answer made up here."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.kafka.offsets import TopicState
from lakehouse.lake.ledger import Commit
from lakehouse.lake.plan import Gap, Offsets, Plan
from lakehouse.lake.traces import origin
from lakehouse.lake.traces.origin import absent, locate, on_broker
from lakehouse.settings import load_settings

AT = datetime(2026, 11, 21, tzinfo=UTC)


def commit(version: int, topic_id: str, start: Offsets, end: Offsets) -> Commit:
    generations = ("old", "new") if topic_id == "new" else ("old",)
    plan = Plan("sales", topic_id, version, start, end, date(2026, 11, 21), "w", generations)
    return Commit(version, plan.to_metadata(), {}, AT, ())


HISTORY = [
    commit(4, "new", {0: 10, 1: 0}, {0: 20, 1: 5}),
    commit(3, "new", {0: 2}, {0: 10}),
    Commit(2, {"kind": "other"}, {}, AT, ()),
    commit(1, "old", {0: 0}, {0: 15}),
    Commit(0, {}, {}, AT, ()),
]


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> None:
    def newest_first(_: str) -> Iterator[Commit]:
        yield from HISTORY

    monkeypatch.setattr(origin, "commits", newest_first)


@pytest.mark.parametrize(
    ("partition", "offset", "versions"),
    [(0, 12, [4, 1]), (0, 9, [3, 1]), (0, 10, [4, 1]), (1, 4, [4]), (0, 1, [1]), (0, 20, []), (1, 5, []), (2, 0, [])],
)
def test_an_offset_is_found_in_each_generation_of_its_topic(partition: int, offset: int, versions: list[int]) -> None:
    found = locate("", partition, offset)
    assert found is not None
    assert [hit.version for _, hit in found.hits] == versions
    assert found.first == {0: 2, 1: 0}
    assert found.is_whole


def test_a_log_that_was_cleaned_up_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "commits", lambda _: iter(HISTORY[:2]))
    found = locate("", 0, 1)
    assert found is not None
    assert (found.hits, found.is_whole) == ([], False)
    monkeypatch.setattr(origin, "commits", lambda _: iter(()))
    assert locate("", 0, 1) is None


STATE = TopicState("sales_events", "new", {0: 3, 1: 0}, {0: 25, 1: 5})


@pytest.mark.parametrize(
    ("partition", "offset", "state", "words"),
    [
        (0, 22, STATE, "is not read yet: bronze has read up to 19. Next: lakehouse drain sales"),
        (0, 25, STATE, "is not written yet"),
        (0, 22, "not asked: it is down", "is not read yet"),
        (5, 0, STATE, "has no partition 5. Next: Its partitions: 0 to 1."),
        (0, 2, STATE, "was read, but bronze has no row of it, and the broker no longer has that offset"),
    ],
)
def test_the_reason_is_named(
    monkeypatch: pytest.MonkeyPatch, partition: int, offset: int, state: TopicState | str, words: str
) -> None:
    monkeypatch.setattr(origin, "broker_state", lambda *_: state)
    found = locate("", partition, offset)
    assert found is not None
    error = absent(load_stream("sales"), load_settings(), found, partition, offset)
    assert words in str(error)
    assert error.exit_code == 10


def test_a_recorded_gap_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    gap = Gap("RESUME_POINT_GONE", {0: (20, 25)}, "ada", "the disk was full", AT)
    plan = Plan("sales", "new", 5, {0: 20, 1: 5}, {0: 25, 1: 5}, date(2026, 11, 21), "w", ("old", "new"), gap)
    recorded = Commit(5, plan.to_metadata(), {}, AT, ())
    monkeypatch.setattr(origin, "commits", lambda _: iter([recorded, *HISTORY]))
    monkeypatch.setattr(origin, "broker_state", lambda *_: TopicState("t", "new", {0: 25, 1: 0}, {0: 30, 1: 5}))
    found = locate("", 0, 22)
    assert found is not None
    assert "ada recorded that on 2026-11-21" in str(absent(load_stream("sales"), load_settings(), found, 0, 22))


def test_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "broker_state", lambda *_: STATE)
    monkeypatch.setattr(origin, "commits", lambda _: iter([HISTORY[1], HISTORY[4]]))
    found = locate("", 0, 1)
    assert found is not None
    error = absent(load_stream("sales"), load_settings(), found, 0, 1)
    assert "lies before the start: the first batch of stream sales began at 2" in str(error)


def test_whether_the_broker_still_has_it() -> None:
    assert on_broker(STATE, "new", 0, 3) == "yes"
    assert on_broker(STATE, "new", 0, 2) == "gone: retention deleted it"
    assert on_broker(STATE, "old", 0, 3) == "gone: the topic was deleted and made anew"
    assert on_broker("not asked: x", "new", 0, 3) == "not asked: x"
