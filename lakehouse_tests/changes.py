"""Change records for tests: a small contract, records in every shape, and the state that they lead to in plain Python.

Here: what tests of several folders share. Not here: the simulated shop (`lakehouse.sources.shop`).
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from lakehouse.contracts.model import StreamContract

NOW = datetime(2026, 11, 20, 12, 1, tzinfo=UTC)
"""When the broker got everything."""
COMMITTED = 1_795_176_000_000
"""2026-11-20 12:00 UTC in milliseconds; a change at position n is committed n milliseconds later."""


def people(topic: str | dict[str, Any] = "people", **changes: Any) -> StreamContract:
    """A `cdc` stream of three fields."""
    return StreamContract.model_validate(
        {
            "name": "people",
            "description": "People, as a database has them.",
            "topic": {"name": topic, "partitions": 3} if isinstance(topic, str) else topic,
            "owners": ["team:data"],
            "start": "2026-01-01",
            "key": ["id"],
            "mode": "cdc",
            "fields": [
                {"name": "id", "type": "long", "description": "Number."},
                {"name": "name", "type": "string", "description": "Name."},
                {"name": "paid", "type": "decimal(10,2)", "nullable": True, "description": "Money."},
            ],
            "rules": [{"name": "name_not_empty", "sql": "name <> ''"}],
        }
        | changes
    )


class Change(NamedTuple):
    """One change of one row. `lsn` is the source's position; None for what does not say it."""

    op: str
    id: int
    name: str | None = None
    paid: str | None = None
    lsn: int | None = None

    @property
    def row(self) -> dict[str, Any]:
        """The row as the source writes it."""
        return {"id": self.id, "name": self.name, "paid": self.paid}


class Record(NamedTuple):
    """What Kafka holds."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None


def enveloped(change: Change, **more: Any) -> Record:
    """As Debezium sends it; op `tombstone` is the key alone, op `t` has none."""
    key = json.dumps({"id": change.id}).encode()
    if change.op == "tombstone":
        return Record(key, None)
    source = {"connector": "postgresql", "lsn": change.lsn, "ts_ms": COMMITTED + (change.lsn or 0)}
    event = {
        "before": change.row if change.op == "d" else None,
        "after": None if change.op in ("d", "t") else change.row,
        "source": source,
        "op": change.op,
        "ts_ms": COMMITTED + 500,
    }
    return Record(None if change.op == "t" else key, json.dumps(event | more).encode())


def flattened(change: Change) -> Record:
    """As ExtractNewRecordState leaves it with added fields, deletes rewritten."""
    key = json.dumps({"id": change.id}).encode()
    if change.op == "tombstone":
        return Record(key, None)
    added = {
        "__deleted": "true" if change.op == "d" else "false",
        "__op": change.op,
        "__source_lsn": change.lsn,
        "__source_ts_ms": COMMITTED + (change.lsn or 0),
    }
    return Record(key, json.dumps(change.row | added).encode())


def bronze_rows(
    records: Iterable[Record], *, batch: int = 0, first: int = 0, partition: int = 0
) -> list[Sequence[Any]]:
    """Rows of a bronze table, offsets from `first` on."""
    return [
        (
            "topic", partition, first + number, NOW, 1, record.key, record.value,
            [{"key": key, "value": value} for key, value in record.headers] if record.headers else None,
            batch, NOW, "kafka://t", date(2026, 11, 20),
        )
        for number, record in enumerate(records)
    ]  # fmt: skip


def state_of(placed: Iterable[tuple[Change, tuple[int, ...]]]) -> dict[int, tuple[str | None, str | None]]:
    """The rows that are left by changes with their places in the topic, in whatever order they are told."""
    latest: dict[int, tuple[tuple[int, ...], Change]] = {}
    emptied: tuple[int, ...] = ()
    for change, place in placed:
        rank = (-1 if change.lsn is None else change.lsn, *place)
        if change.op == "t":
            emptied = max(emptied, rank)
        elif change.id not in latest or rank > latest[change.id][0]:
            latest[change.id] = (rank, change)
    return {
        number: (change.name, change.paid)
        for number, (rank, change) in latest.items()
        if change.op not in ("d", "tombstone") and rank > emptied
    }


def versions_of(
    placed: Iterable[tuple[Change, tuple[int, ...]]],
) -> dict[int, list[tuple[str | None, datetime, datetime | None]]]:
    """The versions of the name of each key, as (name, from, to): told in a way that has nothing to do with SQL."""
    of_key: dict[int, list[tuple[Change, tuple[int, ...]]]] = {}
    entries = sorted(placed, key=lambda entry: entry[1])
    truncates = [entry for entry in entries if entry[0].op == "t"]
    for entry in entries:
        if entry[0].op != "t":
            of_key.setdefault(entry[0].id, []).append(entry)
    found: dict[int, list[tuple[str | None, datetime, datetime | None]]] = {}
    for number, own in of_key.items():
        # What is told twice counts once: as it was told last. A truncate deletes whatever row there is.
        told = {
            (place if change.lsn is None else change.lsn, change.op == "t"): (change, place)
            for change, place in (*own, *truncates)
        }
        story = sorted(told.values(), key=lambda entry: (-1 if entry[0].lsn is None else entry[0].lsn, entry[1]))
        is_ordered = any(change.lsn is not None for change, _ in story)
        states: list[tuple[str | None, datetime]] = []
        clock = datetime.min.replace(tzinfo=UTC)
        for change, _ in story:
            if change.lsn is not None or not is_ordered:
                clock = max(clock, _committed(change))
            state = None if change.op in ("d", "tombstone", "t") else change.name
            if not states or states[-1][0] != state:
                states.append((state, clock))
        ended = [*pairwise(states), (states[-1], (None, None))]
        lived = [(name, since, until) for (name, since), (_, until) in ended if name is not None]
        if lived:
            found[number] = lived
    return found


def _committed(change: Change) -> datetime:
    """A tombstone tells no time: then it is the broker's."""
    if change.lsn is None:
        return NOW
    return datetime.fromtimestamp(COMMITTED / 1000, UTC) + timedelta(milliseconds=change.lsn)
