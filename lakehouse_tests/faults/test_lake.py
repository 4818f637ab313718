"""Whatever comes in between two batches (idle time, new partitions, other writers, a wrong clock), nothing is lost."""

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from deltalake import DeltaTable

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.duck import delta_connection
from lakehouse.engine.spark import connect
from lakehouse.errors import SetupError
from lakehouse.kafka.client import admin_client, client_config
from lakehouse.kafka.offsets import TopicReader
from lakehouse.lake.bronze import BronzeWriter, today
from lakehouse.lake.ledger import current_version, last_plan
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.schema.tables import ensure_tables
from lakehouse.settings import Settings
from lakehouse_tests.faults.story import Topic, append, assert_whole, data_files, drain_once, some_records, wait_for
from lakehouse_tests.streams import encode, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def versions(settings: Settings, contract: StreamContract) -> list[int | None]:
    paths = LakePaths.of(settings)
    name = contract.name
    return [current_version(path) for path in (paths.bronze(name), paths.silver(name), paths.quarantine(name))]


def test_idle_then_a_backlog_then_new_partitions(settings: Settings, topic_name: Topic) -> None:
    """No data makes no commit; a backlog is taken in bounded batches; a new partition is read from its first record."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import NewPartitions

    contract = sales_on(settings, topic_name("grown"))
    topic = contract.topic.name
    small = settings.model_copy(update={"max_batch_rows": 40})
    drain_once(contract, small)
    idle = versions(settings, contract)
    assert drain_once(contract, small) == []
    assert versions(settings, contract) == idle

    sent = send(settings, topic, some_records(0, 100))
    reports = [report for report in drain_once(contract, small) if report.layer == "bronze"]
    assert [report.rows for report in reports] == [40, 40, sent - 80]
    assert [report.lag_rows for report in reports] == [sent - 40, sent - 80, 0]

    admin = admin_client(settings)
    admin.create_partitions([NewPartitions(topic, 5)])[topic].result(timeout=30)
    producer = Producer(client_config(settings))
    for number in range(30):
        producer.produce(topic, partition=number % 5, value=encode(sale(1000 + number)))
    assert producer.flush(30) == 0
    proof = assert_whole(contract, settings, sent + 30)
    known = last_plan(LakePaths.of(settings).bronze(contract.name))
    assert known is not None
    assert (known[0].start[3], known[0].end[3], known[0].start[4], known[0].end[4]) == (0, 6, 0, 6)
    assert proof.waiting == 0


def test_a_lost_acknowledgement_is_recognised_and_a_live_group_changes_nothing(
    settings: Settings, topic_name: Topic
) -> None:
    """The same attempt sent twice, as a client does that never heard of its success, is one commit."""
    from confluent_kafka import Consumer

    contract = sales_on(settings, topic_name("twice"))
    sent = send(settings, contract.topic.name, some_records(0, 20))
    group = Consumer(client_config(settings, group_id=f"lakehouse-{contract.name}"))
    spark = connect(settings.spark_remote)
    try:
        group.subscribe([contract.topic.name])
        wait_for(lambda: group.poll(0.1) is not None or group.assignment())
        ensure_tables(spark, contract, LakePaths.of(settings))
        with TopicReader(settings) as topics:
            writer = BronzeWriter(contract, settings, spark, topics)
            plan, waiting = writer.plan(1000)
            assert plan is not None
            first, again = append(writer, plan, waiting), append(writer, plan, waiting)
        assert (first.rows, again.rows) == (sent, sent)
        assert first.delta_version == again.delta_version == current_version(LakePaths.of(settings).bronze("sales"))
        # A member of the group that lag tools look at: it may rebalance as it likes.
        assert_whole(contract, settings, sent)
    finally:
        group.close()
        spark.stop()


def test_another_writer_changes_the_table_in_the_middle_of_a_batch(settings: Settings, topic_name: Topic) -> None:
    """Its commit comes between the batch's files and theirs: the batch goes behind it."""
    contract = sales_on(settings, topic_name("altered"))
    drain_once(contract, settings)
    path = LakePaths.of(settings).bronze(contract.name)
    foreign = DeltaTable(path)
    sent = send(settings, contract.topic.name, some_records(0, 20_000))

    def alter_when_a_file_appears() -> None:
        wait_for(lambda: data_files(path), 120)
        foreign.alter.set_table_properties({"delta.checkpointInterval": "20"})

    other = threading.Thread(target=alter_when_a_file_appears)
    other.start()
    try:
        drain_once(contract, settings)
    finally:
        other.join()
    known = last_plan(path)
    assert known is not None
    assert (known[0].batch, known[1].version) == (0, foreign.version() + 1), "the change came before the batch's commit"
    assert DeltaTable(path).metadata().configuration["delta.checkpointInterval"] == "20"
    assert_whole(contract, settings, sent)


def test_a_table_that_forgets_batch_numbers_is_refused(settings: Settings, topic_name: Topic) -> None:
    contract = sales_on(settings, topic_name("forgetful"))
    sent = send(settings, contract.topic.name, some_records(0, 10))
    drain_once(contract, settings)
    for path in (LakePaths.of(settings).bronze("sales"), LakePaths.of(settings).silver("sales")):
        spark = connect(settings.spark_remote)
        name = "delta.setTransactionRetentionDuration"
        try:
            spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('{name}' = 'interval 1 hours')").collect()
            with pytest.raises(SetupError, match=name):
                drain_once(contract, settings)
            spark.sql(f"ALTER TABLE delta.`{path}` UNSET TBLPROPERTIES ('{name}')").collect()
        finally:
            spark.stop()
    assert_whole(contract, settings, sent)


def test_the_machines_clock_orders_nothing(
    settings: Settings, topic_name: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drains on the right day, a day back and a day ahead; the newest event wins whichever drain brought it."""
    contract = sales_on(settings, topic_name("clock"))
    # Half an hour around midnight would be two event dates.
    now = datetime.now(UTC).replace(hour=12)
    sent = 0

    def drain_on(day: date, *, minutes: int, place: str) -> None:
        nonlocal sent
        stamp = (now - timedelta(minutes=minutes)).isoformat()
        events = (encode(sale(n) | {"sale_timestamp": stamp, "store_location": place}) for n in range(20))
        sent += send(settings, contract.topic.name, events)
        with monkeypatch.context() as clock:
            clock.setattr("lakehouse.lake.bronze.today", lambda: day)
            drain_once(contract, settings)

    drain_on(today(), minutes=20, place="first")
    drain_on(today() - timedelta(days=1), minutes=5, place="newest")
    drain_on(today() + timedelta(days=1), minutes=10, place="between")
    proof = assert_whole(contract, settings, sent)
    assert (proof.silver, proof.repeats) == (20, 40)
    with delta_connection() as duck:
        silver = LakePaths.of(settings).silver(contract.name)
        places = duck.execute("SELECT DISTINCT store_location FROM delta_scan(?)", [silver]).fetchall()
    assert places == [("newest",)]
