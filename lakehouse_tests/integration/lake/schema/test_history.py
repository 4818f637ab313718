"""The history of `customers` while its contract changes: it is always what that contract makes of all changes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.streams import rows_of, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.slow]
LARGE = 2**40
POINTS = FieldSpec(name="points", type="integer", nullable=True, description="Points.")


def told(lsn: int, **row: Any) -> bytes:
    """A change of customer 1, committed `lsn` seconds after noon."""
    after = {"id": 1, "name": "Ada", "email": "ada@x.org", "city": "Rome", "updated_at": "2026-11-20T12:00:00Z"} | row
    source = {"lsn": lsn, "ts_ms": 1_795_176_000_000 + lsn * 1000}
    return json.dumps({"before": None, "after": after, "op": "u", "source": source}).encode()


def versions(settings: Settings, contract: StreamContract, column: str, *changes: bytes) -> list[tuple[Any, ...]]:
    """Send changes, drain by this contract; the versions then, as (column, city, from, to) in seconds after noon."""
    send(settings, contract.topic.name, changes)
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    assert verify(settings, [contract]).findings == []
    path = LakePaths.of(settings).history(contract.name)
    seconds = ", ".join(f"(epoch({name}) - 1795176000)::int" for name in ("valid_from", "valid_to"))
    return sorted(
        (row[:-1] for row in rows_of(path, f"{column}, city, {seconds}, is_version") if row[-1]), key=lambda row: row[2]
    )


def test_versions_follow_added_widened_and_dropped_fields(settings: Settings, topic_name: Callable[[str], str]) -> None:
    customers = load_stream("customers")
    topic = customers.topic.model_copy(update={"name": topic_name("customers"), "partitions": 1})
    old = customers.model_copy(update={"topic": topic, "track": []})
    apply_topics(settings, desired_topics([old]))
    before = [told(1, points=1), told(2, points=2), told(3, points=2, city="Oslo")]
    assert versions(settings, old, "null", *before) == [(None, "Rome", 1, 3), (None, "Oslo", 3, None)]

    # Added: the changes that came before the contract knew the field make versions now.
    new = old.model_copy(update={"fields": [*old.fields, POINTS]})
    known = [(1, "Rome", 1, 2), (2, "Rome", 2, 3)]
    assert versions(settings, new, "points", told(4, points=3, city="Oslo")) == [
        *known, (2, "Oslo", 3, 4), (3, "Oslo", 4, None)
    ]  # fmt: skip

    # Widened: a larger value ends the last version; the others keep theirs.
    wide = old.model_copy(update={"fields": [*old.fields, POINTS.model_copy(update={"type": "long"})]})
    found = versions(settings, wide, "points", told(5, points=LARGE, city="Oslo"))
    assert found == [*known, (2, "Oslo", 3, 4), (3, "Oslo", 4, 5), (LARGE, "Oslo", 5, None)]

    # Dropped: what differed in nothing else is one version, and new changes go on.
    fields = [field for field in wide.fields if field.name != "city"]
    rules = [rule for rule in wide.rules if "city" not in rule.sql]
    left = wide.model_copy(update={"fields": fields, "rules": rules})
    found = versions(settings, left, "points", told(6, points=3, city="Bonn"), told(7, points=3, city="Pisa"))
    assert [row[0] for row in found] == [1, 2, 3, LARGE, 3]
    assert found[1] == (2, None, 2, 4)
    assert found[-1] == (3, None, 6, None)
