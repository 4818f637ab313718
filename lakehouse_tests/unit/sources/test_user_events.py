"""The simulated users: it keeps the contract, is the same for the same seed, comes late when asked to."""

import json
from collections import Counter, defaultdict
from datetime import datetime
from itertools import islice

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.errors import UsageError
from lakehouse.sources.event_check import broken_promises
from lakehouse.sources.user_events import UserEventGenerator

NOW = 1_790_000_000.0
FIELDS = {"event_id", "user_id", "session_id", "event_type", "revenue"}


def made(count: int = 3_000, **options: float) -> list[tuple[str, bytes, str]]:
    clock = iter(range(10**9))
    generator = UserEventGenerator(seed=7, now=lambda: NOW + next(clock), **options)  # type: ignore[arg-type]
    return list(islice(generator, count))


def test_events_keep_the_contract_and_have_its_fields_under_either_name_of_the_time() -> None:
    events = made()
    assert not any(broken_promises(load_stream("user_events"), [value for _, value, _ in events[:500]]))
    parsed = [json.loads(value) for _, value, _ in events]
    names = Counter(frozenset(event) - FIELDS for event in parsed)
    assert set(names) == {frozenset({"timestamp"}), frozenset({"event_time"})}
    assert {event["event_type"] for event in parsed} == {"click", "view", "purchase"}
    assert all((event["revenue"] > 0) == (event["event_type"] == "purchase") for event in parsed)
    assert [key for key, _, _ in events] == [event["user_id"] for event in parsed], "keyed by user"


def test_a_session_belongs_to_one_user_and_has_several_events() -> None:
    users: dict[str, set[str]] = defaultdict(set)
    sizes: Counter[str] = Counter()
    for _, value, _ in made():
        event = json.loads(value)
        users[event["session_id"]].add(event["user_id"])
        sizes[event["session_id"]] += 1
    assert {len(found) for found in users.values()} == {1}
    assert max(sizes.values()) > 5


def test_the_same_seed_sends_the_same() -> None:
    assert made(500, late_share=0.1, duplicate_share=0.1) == made(500, late_share=0.1, duplicate_share=0.1)


def test_late_repeated_and_broken_events_are_what_they_say() -> None:
    events = made(late_share=0.1, duplicate_share=0.1, bad_share=0.05)
    kinds = Counter(kind for _, _, kind in events)
    for kind, share in (("late", 0.1), ("duplicate", 0.1)):
        assert abs(kinds[kind] / len(events) - share) < 0.03
    newest, seen, ids = 0.0, set(), Counter()
    broken = []
    for _, value, kind in events:
        event = json.loads(value)
        at = datetime.fromisoformat(event.get("timestamp") or event["event_time"]).timestamp()
        if kind == "late":
            assert newest - at >= 50
        if kind == "duplicate":
            assert value in seen
        if kind in {"no_user", "unknown_type"}:
            broken.append(value)
        newest = max(newest, at)
        seen.add(value)
        ids[event["event_id"]] += 1
    assert sum(count - 1 for count in ids.values()) == kinds["duplicate"]
    assert len(broken) == kinds["no_user"] + kinds["unknown_type"] > 50
    assert all(broken_promises(load_stream("user_events"), broken))


def test_impossible_shares_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--late-share 1\.5"):
        UserEventGenerator(seed=1, late_share=1.5)
    with pytest.raises(UsageError, match="together exceed 1"):
        UserEventGenerator(seed=1, late_share=0.6, duplicate_share=0.6)
