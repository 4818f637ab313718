"""Truncated tables on the real parts: the source's order decides what a truncate deletes, whatever comes first."""

import signal
from pathlib import Path

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.bronze import today
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rebuild import kappa
from lakehouse.lake.rebuild.backfill import rebuild_silver
from lakehouse.lake.rejects import replay as quarantine
from lakehouse.lake.rejects.outcome import Choice
from lakehouse.lake.traces.trace import trace_key, trace_record
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.changes import Change, enveloped, state_of, versions_of
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


class Story:
    """Changes sent to one stream batch by batch, over its three partitions."""

    def __init__(self, settings: Settings, contract: StreamContract) -> None:
        self.settings, self.contract = settings, contract
        self.placed: Placed = []
        self.sent = [0, 0, 0]

    def send(self, batch: list[Change]) -> None:
        """Send changes in this order."""
        for partition in range(3):
            mine = batch[partition::3]
            first = self.sent[partition]
            self.placed += [(change, (0, partition, first + at)) for at, change in enumerate(mine)]
            send(self.settings, self.contract.topic.name, [enveloped(change) for change in mine], partition)
            self.sent[partition] += len(mine)

    def assert_told(self) -> None:
        """The oracle: silver and history are what the model makes of everything that was sent."""
        assert held(self.settings, self.contract) == state_of(self.placed)
        assert held_versions(self.settings, self.contract) == versions_of(self.placed)


def applying(contract: StreamContract) -> StreamContract:
    return contract.model_copy(update={"change": contract.change.model_copy(update={"truncate": "apply"})})


def test_a_truncate_deletes_what_comes_before_it_and_a_trace_says_so(settings: Settings, topic_name: Topic) -> None:
    """Rows from before it come late, rows from after it came early."""
    contract = applying(people_on(settings, topic_name("people"), history="scd2", track=["name"]))
    changes = some_changes(6, 40, truncated=(25,))
    story = Story(settings, contract)
    story.send([*changes[:24:2], *changes[30:35]])
    take(settings, contract)
    story.send([*changes[24:], *changes[1:24:2]])
    take(settings, contract)
    story.assert_told()
    proof = verify(settings, [contract])
    assert (proof.findings, proof.proofs[0].bronze, proof.proofs[0].quarantined) == ([], sum(story.sent), 0)

    path = LakePaths.of(settings).silver(contract.name)
    number, partition, offset = next(
        row[:3] for row in rows_of(path, "id, _partition, _offset, _op") if row[3] == "t" and row[0] is not None
    )
    trace = trace_key(contract, settings, [str(number)], None)
    why = f"the truncate {partition}:{offset} of its table comes after it, and the row is deleted"
    assert (trace.state, trace.why) == ("beaten", why)
    assert {version.beaten_by for version in trace.versions} == {"truncate"}
    of_truncate = trace_record(contract, settings, partition, offset)
    assert of_truncate.why == "it is the last truncate of its table: every row that comes before it is deleted"


@pytest.mark.slow
def test_truncates_that_waited_in_quarantine_and_steps_that_were_killed(
    settings: Settings, topic_name: Topic, tmp_path: Path
) -> None:
    careful = people_on(settings, topic_name("people"), history="scd2", track=["name"])
    contract = applying(careful)
    changes = some_changes(5, 90, truncated=(30, 60, 61))
    story = Story(settings, contract)
    # Not applied yet: the truncate waits until the contract says so.
    story.send([*changes[:29:2], changes[29], *changes[40:50]])
    take(settings, careful)
    assert len(held(settings, careful)) > len(state_of(story.placed))
    assert quarantine.replay(contract, settings, Choice()).released == 1
    story.assert_told()

    # The last truncate comes before most rows that it deletes; what comes after it is there already.
    batches = {
        "between_history_and_silver": [changes[60], *changes[1:29:2]],
        "before_silver_commit": [*changes[61:], *changes[30:60]],
    }
    for point, batch in batches.items():
        story.send(batch)
        assert killed_drain(contract, tmp_path, point) == -signal.SIGKILL
        take(settings, contract)
        story.assert_told()
    assert verify(settings, [contract]).findings == []

    path = LakePaths.of(settings).silver(contract.name)
    everything = "id, name, paid, _op, _deleted, _position, event_date, _topic_id, _partition, _offset"
    before = sorted(rows_of(path, everything), key=repr)
    rebuild_silver(contract, settings, [today()])
    assert sorted(rows_of(path, everything), key=repr) == before
    assert kappa.replay(contract, settings).changed == []
    story.assert_told()
