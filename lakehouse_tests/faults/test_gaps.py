"""Records that the broker no longer has: a typed stop that names them, one command that records the loss, then on."""

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import connect
from lakehouse.errors import ResumePointGoneError, TopicRecreatedError
from lakehouse.kafka.client import admin_client
from lakehouse.kafka.offsets import TopicReader, read_topic_state
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.bronze import BronzeWriter
from lakehouse.lake.ledger import last_plan
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.repair.gaps import accept_gap, find_gap
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.faults.story import Topic, append, drain_once
from lakehouse_tests.streams import encode, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def delete_before(settings: Settings, topic: str, offsets: dict[int, int]) -> None:
    """Make the broker forget records, as retention does."""
    from confluent_kafka import TopicPartition

    wanted = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
    admin = admin_client(settings)
    for done in admin.delete_records(wanted).values():
        done.result(timeout=30)


def make_anew(settings: Settings, contract: StreamContract) -> None:
    """Delete the stream's topic and make it again under the same name."""
    old = read_topic_state(settings, contract.topic.name).topic_id
    admin = admin_client(settings)
    for done in admin.delete_topics([contract.topic.name]).values():
        done.result(timeout=30)
    apply_topics(settings, desired_topics([contract]))
    assert read_topic_state(settings, contract.topic.name).topic_id != old


def test_lost_offsets_are_named_recorded_once_and_counted(settings: Settings, topic_name: Topic) -> None:
    contract = sales_on(settings, topic_name("expired"))
    send(settings, contract.topic.name, [encode(sale(n)) for n in range(30)])
    drain_once(contract, settings)
    send(settings, contract.topic.name, [encode(sale(n)) for n in range(100, 160)])
    read = last_plan(LakePaths.of(settings).bronze(contract.name))
    assert read is not None
    delete_before(settings, contract.topic.name, {0: read[0].end[0] + 3, 2: read[0].end[2] + 4})

    with pytest.raises(ResumePointGoneError, match=rf"partition 0: {read[0].end[0]} to {read[0].end[0] + 2}"):
        drain_once(contract, settings)
    found = find_gap(contract, settings)
    assert found is not None
    assert last_plan(LakePaths.of(settings).bronze(contract.name)) == read, "looking must not write"

    accepted = accept_gap(contract, settings, "the broker's disk was full")
    assert accepted is not None
    assert accepted.gap is not None
    assert accepted.gap.offsets == 7
    assert accept_gap(contract, settings, "again") is None
    drain_once(contract, settings)
    report = verify(settings, [contract])
    assert report.findings == []
    proof = report.proofs[0]
    assert (proof.bronze, proof.waiting, proof.gaps) == (90 - 7, 0, 7)


def test_records_that_go_between_plan_and_read_stop_the_batch_whole(settings: Settings, topic_name: Topic) -> None:
    contract = sales_on(settings, topic_name("expiring"))
    send(settings, contract.topic.name, [encode(sale(n)) for n in range(10)])
    drain_once(contract, settings)
    send(settings, contract.topic.name, [encode(sale(n)) for n in range(20, 50)])
    spark = connect(settings.spark_remote)
    try:
        with TopicReader(settings) as topics:
            writer = BronzeWriter(contract, settings, spark, topics)
            plan, _ = writer.plan(1000)
            assert plan is not None
            delete_before(settings, contract.topic.name, {0: plan.start[0] + 2})
            with pytest.raises(ResumePointGoneError):
                append(writer, plan)
    finally:
        spark.stop()
    known = last_plan(LakePaths.of(settings).bronze(contract.name))
    assert known is not None
    assert known[0].batch == plan.batch - 1
    accept_gap(contract, settings, "retention was too short")
    drain_once(contract, settings)
    report = verify(settings, [contract])
    assert report.findings == []
    assert (report.proofs[0].bronze, report.proofs[0].gaps) == (38, 2)


def test_a_topic_made_anew_goes_on_as_a_second_generation(settings: Settings, topic_name: Topic) -> None:
    """The same offsets and keys come again: neither is taken for the old one, and the newer generation wins."""
    contract = sales_on(settings, topic_name("anew"))
    send(
        settings,
        contract.topic.name,
        [encode(sale(n, at=None, quantity=1, unit_price=2, total_price=2)) for n in range(20)],
    )
    drain_once(contract, settings)
    make_anew(settings, contract)
    again = [encode(sale(n)) for n in range(10, 40)]
    send(settings, contract.topic.name, again)
    with pytest.raises(TopicRecreatedError):
        drain_once(contract, settings)

    accepted = accept_gap(contract, settings, "moved to another broker")
    assert accepted is not None
    assert len(accepted.generations) == 2
    drain_once(contract, settings)
    report = verify(settings, [contract])
    assert report.findings == []
    proof = report.proofs[0]
    assert (proof.bronze, proof.waiting, proof.gaps) == (50, 0, 0)
    assert accepted.to_metadata()["gap"]["why"] == "moved to another broker"
