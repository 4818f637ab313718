"""The stream of people on the real parts: making it, sending its changes, reading what is held of it.

Here: what the tests of change data share. Not here: records and the model of them (`lakehouse_tests.changes`).
"""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings
from lakehouse_tests.changes import Change, Record, people
from lakehouse_tests.streams import rows_of

Topic = Callable[[str], str]
Placed = list[tuple[Change, tuple[int, ...]]]


def people_on(settings: Settings, topic: str, **changes: Any) -> StreamContract:
    """The contract on a new topic; both topics exist afterwards."""
    contract = people(topic, **changes)
    apply_topics(settings, desired_topics([contract]))
    return contract


def send(settings: Settings, topic: str, records: list[Record], partition: int) -> None:
    """Send records to one partition, in order."""
    from confluent_kafka import Producer

    producer = Producer(producer_config(settings))
    for record in records:
        producer.produce(topic, key=record.key, value=record.value, headers=record.headers, partition=partition)
    assert producer.flush(30) == 0


def held(settings: Settings, contract: StreamContract) -> dict[int, tuple[str | None, str | None]]:
    """The rows that readers of silver see."""
    path = LakePaths.of(settings).silver(contract.name)
    rows = rows_of(path, "id, name, paid::varchar, _deleted")
    assert len(rows) == len({row[0] for row in rows})
    return {number: (name, paid) for number, name, paid, deleted in rows if not deleted}


def held_versions(settings: Settings, contract: StreamContract) -> dict[int, list[tuple[Any, ...]]]:
    """The versions that readers of the history see, as (name, from, to)."""
    found: dict[int, list[tuple[Any, ...]]] = {}
    path = LakePaths.of(settings).history(contract.name)
    rows = rows_of(
        path, "id, _position[1] as p, name, epoch_ms(valid_from), epoch_ms(valid_to), is_version, is_current"
    )
    assert all(row[-1] == (row[-2] and row[4] is None) for row in rows)
    for number, _, name, since, until, *_ in sorted(row for row in rows if row[-2]):
        ends = (None if at is None else datetime.fromtimestamp(at / 1000, UTC) for at in (since, until))
        found.setdefault(number, []).append((name, *ends))
    return found


def take(settings: Settings, contract: StreamContract) -> None:
    drain(contract, settings, budget_seconds=240, idle_seconds=0)


def some_changes(seed: int, count: int, truncated: Collection[int] = ()) -> list[Change]:
    """A history of a small table in the source's order: rows come, change, go and come back, or all go at once."""
    source = random.Random(seed)
    there: dict[int, Change] = {}
    changes: list[Change] = []
    for lsn in range(1, count + 1):
        if lsn in truncated:
            there.clear()
            changes.append(Change("t", 0, lsn=lsn))
            continue
        number = source.randint(1, 12)
        if number in there and source.random() < 0.3:
            changes.append(there.pop(number)._replace(op="d", lsn=lsn))
            continue
        row = Change("u" if number in there else "c", number, f"n{lsn}", f"{source.randint(1, 999)}.50", lsn)
        there[number] = row
        changes.append(row)
    return changes


def killed_drain(contract: StreamContract, folder: Path, point: str) -> int:
    """A drain in a process of its own that dies at this point; its return code."""
    path = folder / "contract.json"
    path.write_text(contract.model_dump_json(), encoding="utf-8")
    environment = {**os.environ, "LAKEHOUSE_CRASH_AT": point}
    command = [sys.executable, "-m", "lakehouse.lake.soak.worker", str(path)]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode
