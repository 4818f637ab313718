"""Change records on the real parts: silver is the table as the source has it, in whatever way it was filled."""

import random
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import connect
from lakehouse.errors import UsageError
from lakehouse.lake.bronze import today
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rebuild import kappa
from lakehouse.lake.rebuild.backfill import rebuild_silver
from lakehouse.lake.rejects import replay as quarantine
from lakehouse.lake.rejects.outcome import Choice
from lakehouse.lake.traces.trace import trace_key
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.changes import Change, enveloped, flattened, state_of, versions_of
from lakehouse_tests.integration.lake.people import (
    Placed,
    Topic,
    held,
    held_versions,
    killed_drain,
    people_on,
    send,
    some_changes,
    take,
)
from lakehouse_tests.streams import rows_of

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


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
    assert killed_drain(contract, tmp_path, "between_history_and_silver") == -signal.SIGKILL
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
