"""Change records on the real parts: silver is the table as the source has it, in whatever way it was filled."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import connect
from lakehouse.errors import UsageError
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.bronze import today
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rebuild import kappa
from lakehouse.lake.rebuild.backfill import rebuild_silver
from lakehouse.lake.rejects import replay as quarantine
from lakehouse.lake.rejects.outcome import Choice
from lakehouse.lake.traces.trace import trace_key
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.changes import Change, Record, enveloped, flattened, people, state_of, versions_of
from lakehouse_tests.streams import rows_of

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
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
    for number, _, name, since, until, is_version, is_current in sorted(rows, key=lambda row: row[:2]):
        assert is_current == (is_version and until is None)
        if is_version:
            ends = (None if at is None else datetime.fromtimestamp(at / 1000, UTC) for at in (since, until))
            found.setdefault(number, []).append((name, *ends))
    return found


def take(settings: Settings, contract: StreamContract) -> None:
    drain(contract, settings, budget_seconds=240, idle_seconds=0)


def some_changes(seed: int, count: int) -> list[Change]:
    """A history of a small table in the source's order: rows come, change, go and come back."""
    source = random.Random(seed)
    there: dict[int, Change] = {}
    changes: list[Change] = []
    for lsn in range(1, count + 1):
        number = source.randint(1, 12)
        if number in there and source.random() < 0.3:
            changes.append(there.pop(number)._replace(op="d", lsn=lsn))
            continue
        row = Change("u" if number in there else "c", number, f"n{lsn}", f"{source.randint(1, 999)}.50", lsn)
        there[number] = row
        changes.append(row)
    return changes


def test_silver_is_the_table_in_any_order_of_arrival_and_by_every_way_to_fill_it(
    settings: Settings, topic_name: Topic
) -> None:
    """Shuffled micro-batches with duplicates and rejects equal a Python model, their rebuild, and their replay."""
    contract = people_on(settings, topic_name("people"), history="scd2", track=["name"])
    changes = some_changes(1, 60)
    stories = [(change, enveloped) for change in changes] + [(change, flattened) for change in changes[::3]]
    stories += [(change._replace(op="tombstone", lsn=None), enveloped) for change in changes if change.op == "d"]
    random.Random(2).shuffle(stories)
    placed: Placed = []
    ends = [0, 0, 0]
    bad = enveloped(Change("c", 99, "", "1.00", 500))
    for number, batch in enumerate((stories[:40], stories[40:41], stories[41:])):
        for partition in range(3):
            mine = batch[partition::3]
            placed += [(change, (0, partition, ends[partition] + at)) for at, (change, _) in enumerate(mine)]
            send(settings, contract.topic.name, [write(change) for change, write in mine], partition)
            ends[partition] += len(mine)
        if number == 1:
            send(settings, contract.topic.name, [bad], 0)
            ends[0] += 1
        take(settings, contract)
    wanted, versions = state_of(placed), versions_of(placed)
    assert held(settings, contract) == wanted
    assert held_versions(settings, contract) == versions
    proof = verify(settings, [contract])
    assert proof.findings == []
    assert (proof.proofs[0].bronze, proof.proofs[0].quarantined) == (sum(ends), 1)

    path = LakePaths.of(settings).silver(contract.name)
    everything = "id, name, paid, _op, _deleted, _position, _topic_id, _partition, _offset"
    before = sorted(rows_of(path, everything))
    (report,) = rebuild_silver(contract, settings, [today()])
    assert report.note.startswith("the whole table")
    assert sorted(rows_of(path, everything)) == before
    assert kappa.replay(contract, settings).changed == []
    assert sorted(rows_of(path, everything)) == before
    assert held_versions(settings, contract) == versions
    with pytest.raises(UsageError, match="only be replayed as a whole"):
        kappa.replay(contract, settings, since=contract_start(contract))

    # A rule that is given up releases its reject; the row that the source deleted later stays deleted.
    looser = contract.model_copy(update={"rules": []})
    assert quarantine.replay(looser, settings, Choice()).released == 1
    assert held(settings, contract) == wanted | {99: ("", "1.00")}
    assert len(held_versions(settings, contract)[99]) == 1
    assert verify(settings, [looser]).findings == []


def contract_start(contract: StreamContract) -> datetime:
    """The first moment of the stream."""
    return datetime(contract.start.year, contract.start.month, contract.start.day, tzinfo=UTC)


def test_what_the_connector_sends_again_changes_nothing(settings: Settings, topic_name: Topic) -> None:
    """5,000 duplicates, as after a killed connector, and late older changes do not bring deleted rows back."""
    contract = people_on(settings, topic_name("people"))
    changes = some_changes(3, 50)
    records = [enveloped(change) for change in changes]
    send(settings, contract.topic.name, records, 0)
    take(settings, contract)
    before = held(settings, contract)
    assert before == state_of([(change, (0, 0, at)) for at, change in enumerate(changes)])
    send(settings, contract.topic.name, records * 100, 0)
    take(settings, contract)
    assert held(settings, contract) == before
    proof = verify(settings, [contract])
    assert (proof.findings, proof.proofs[0].bronze) == ([], 5_050)
    assert proof.proofs[0].silver == len({change.id for change in changes})


def test_a_deleted_key_can_be_traced_to_its_last_record(settings: Settings, topic_name: Topic) -> None:
    contract = people_on(settings, topic_name("people"))
    story = [Change("c", 5, "Eva", "1.00", 10), Change("d", 5, lsn=30), Change("tombstone", 5)]
    send(settings, contract.topic.name, [enveloped(change) for change in story], 1)
    # What happened before the delete comes after it, in another partition.
    send(settings, contract.topic.name, [enveloped(Change("u", 5, "Eve", "2.00", 20))], 2)
    take(settings, contract)
    assert held(settings, contract) == {}
    trace = trace_key(contract, settings, ["5"], None)
    assert (trace.state, trace.why) == (
        "in_silver",
        "it is the strongest record of its key, and says that the row was deleted",
    )
    assert [(v.place, v.state, v.beaten_by) for v in trace.versions] == [
        ("1:1", "in_silver", ""),
        ("2:0", "beaten", "source position"),
        ("1:0", "beaten", "source position"),
        ("1:2", "beaten", "source position"),
    ]


@pytest.mark.slow
def test_a_history_is_whole_after_a_crash_a_late_start_and_a_loss(
    settings: Settings, topic_name: Topic, tmp_path: Path
) -> None:
    """Killed between the two commits; switched on when silver was there already; damaged, and then found out."""
    plain = people_on(settings, topic_name("people"))
    contract = plain.model_copy(update={"history": "scd2", "track": ["name"]})
    changes = some_changes(4, 30)
    placed: Placed = [(change, (0, 0, at)) for at, change in enumerate(changes)]
    send(settings, contract.topic.name, [enveloped(change) for change in changes[:10]], 0)
    take(settings, plain)
    finding = verify(settings, [contract]).findings
    assert [(found.check, "holds bronze through batch -1" in found.problem) for found in finding] == [("history", True)]

    send(settings, contract.topic.name, [enveloped(change) for change in changes[10:20]], 0)
    path = tmp_path / "contract.json"
    path.write_text(contract.model_dump_json(), encoding="utf-8")
    worker = subprocess.run(
        [sys.executable, "-m", "lakehouse.lake.soak.worker", str(path)],
        env={**os.environ, "LAKEHOUSE_CRASH_AT": "between_history_and_silver"},
        capture_output=True,
        check=False,
    )
    assert worker.returncode == -signal.SIGKILL, worker.stderr
    send(settings, contract.topic.name, [enveloped(change) for change in changes[20:]], 0)
    take(settings, contract)
    assert held_versions(settings, contract) == versions_of(placed)
    assert verify(settings, [contract]).findings == []

    spark = connect(settings.spark_remote)
    try:
        table = LakePaths.of(settings).history(contract.name)
        spark.sql(f"UPDATE delta.`{table}` SET valid_to = NULL WHERE _offset = 0").collect()
    finally:
        spark.stop()
    assert [found.check for found in verify(settings, [contract]).findings] == ["history"]
