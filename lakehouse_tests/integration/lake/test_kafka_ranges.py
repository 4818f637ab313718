"""Our reader of Kafka against Spark's: the same records of the same offsets, and none passed over in silence."""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.engine import java_archive
from lakehouse.engine.embedded import stack as embedded
from lakehouse.engine.spark import spark_errors
from lakehouse.errors import BrokerUnreachableError
from lakehouse.kafka.client import admin_client, producer_config
from lakehouse.kafka.offsets import TopicReader
from lakehouse.lake import records
from lakehouse.lake.plan import Plan
from lakehouse.lake.planner import next_plan
from lakehouse.lake.records import RecordReader
from lakehouse.settings import Settings
from lakehouse_tests.streams import sales_on, send

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
HEADERS: list[list[tuple[str, bytes | None]] | None] = [
    None,
    [],
    [("trace", b"\x00\xff"), ("trace", b""), ("größe", None)],
]
COLUMNS = [
    "topic_id",
    "partition",
    "offset",
    "unix_millis(timestamp) AS timestamp",
    "timestamp_type",
    "key",
    "value",
    "headers",
    "batch",
    "_source_file",
]


def _send_all_kinds(settings: Settings, topic: str, draw: random.Random) -> None:
    """Records of each compression, plain and in transactions, of which some are aborted."""
    from confluent_kafka import Producer

    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        config = producer_config(settings) | {"compression.type": codec, "delivery.timeout.ms": 30_000}
        transactional = Producer(config | {"transactional.id": f"test-{uuid.uuid4()}"})
        transactional.init_transactions()
        for outcome in ("commit", "abort", "commit"):
            transactional.begin_transaction()
            _send_some(transactional, topic, draw)
            assert transactional.flush(30) == 0
            getattr(transactional, f"{outcome}_transaction")()
        plain = Producer(config)
        _send_some(plain, topic, draw)
        assert plain.flush(30) == 0


def _send_some(producer: Any, topic: str, draw: random.Random) -> None:
    for number in range(draw.randint(1, 300)):
        producer.produce(
            topic,
            key=draw.choice([None, b"", b"k", f"{number}".encode()]),
            value=draw.choice([None, b"", b"\xff\xfe", b'{"n":1}', draw.randbytes(3_000)]),
            headers=draw.choice(HEADERS),
            partition=draw.randint(0, 2),
            timestamp=draw.choice([1, 1_700_000_000_123]),
        )


def _plan(settings: Settings, contract: StreamContract) -> Plan:
    with TopicReader(settings) as topics:
        state = topics.state(contract.topic.name)
    plan = next_plan(
        contract.name, None, state, end=state.end, day=date(2026, 1, 1), max_rows=1_000_000, writer=uuid.uuid4().hex
    )
    assert plan is not None
    return plan


def _read(reader: RecordReader, plan: Plan) -> list[str]:
    return sorted(map(repr, reader.read(plan).selectExpr(*COLUMNS).collect()))


@pytest.fixture
def contract(settings: Settings, topic_name: Callable[[str], str]) -> StreamContract:
    return sales_on(settings, topic_name("ranges"))


def _cut(plan: Plan, draw: random.Random) -> Iterator[Plan]:
    """The plan in pieces that follow on each other."""
    start = plan.start
    while start != plan.end:
        end = {p: min(plan.end[p], offset + draw.choice([0, 1, 7, 180, 700])) for p, offset in start.items()}
        if end != start:
            yield replace(plan, start=start, end=end)
        start = end


@pytest.mark.parametrize("seed", range(2))
def test_records_are_as_sparks(
    settings: Settings, contract: StreamContract, spark: "SparkSession", monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    draw = random.Random(seed)
    _send_all_kinds(settings, contract.topic.name, draw)
    plan = _plan(settings, contract)
    assert java_archive.is_there(spark)
    ours = RecordReader(contract, settings, spark)
    whole = _read(ours, plan)
    pieces = list(_cut(plan, draw))
    followed = [_read(ours, piece) for piece in pieces]
    anyhow = {number: _read(ours, pieces[number]) for number in draw.sample(range(len(pieces)), len(pieces))}
    monkeypatch.setattr(records.java_archive, "is_there", lambda _: False)
    theirs = _read(RecordReader(contract, settings, spark), plan)
    assert 0 < len(theirs) < plan.span, "markers and aborted records have offsets, too"
    assert whole == theirs
    assert sorted(row for piece in followed for row in piece) == theirs
    assert [anyhow[number] for number in range(len(pieces))] == followed


def test_offsets_that_are_gone_fail_the_read(
    settings: Settings, contract: StreamContract, spark: "SparkSession"
) -> None:
    from confluent_kafka import TopicPartition
    from pyspark.errors import PySparkException

    topic = contract.topic.name
    send(settings, topic, [b"{}"] * 300)
    plan = _plan(settings, contract)
    admin = admin_client(settings)
    for done in admin.delete_records([TopicPartition(topic, 1, plan.end[1] // 2)]).values():
        done.result(30)
    reader = RecordReader(contract, settings, spark)
    with pytest.raises(PySparkException, match="OffsetOutOfRange"):
        _read(reader, plan)
    kept = replace(plan, start=plan.start | {1: plan.end[1] // 2})
    assert len(_read(reader, kept)) == kept.span, "the consumer that failed is not asked again"


def test_records_that_never_come_fail_the_read(
    settings: Settings, contract: StreamContract, spark: "SparkSession", monkeypatch: pytest.MonkeyPatch
) -> None:
    send(settings, contract.topic.name, [b"{}"] * 30)
    plan = _plan(settings, contract)
    beyond = replace(plan, end=plan.end | {0: plan.end[0] + 1})
    monkeypatch.setitem(records._CONSUMER, "answer.seconds", "1")
    with pytest.raises(BrokerUnreachableError) as stop, spark_errors():
        _read(RecordReader(contract, settings, spark), beyond)
    assert f"no record of {contract.topic.name}-0 from offset {plan.end[0]} on" in str(stop.value.__cause__)


def test_consumers_wait_for_the_next_batch_and_not_for_ever(
    stack: Settings,
    settings: Settings,
    contract: StreamContract,
    spark: "SparkSession",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send(settings, contract.topic.name, [b"{}"] * 300)
    plan = _plan(settings, contract)
    (server,) = (psutil.Process(entry.pid) for entry in embedded.status(stack) if entry.name == "spark")
    broker = int(settings.kafka_bootstrap_servers.rpartition(":")[2])

    def connections() -> set[int]:
        return {at.laddr.port for at in server.net_connections("tcp") if at.raddr and at.raddr.port == broker}

    monkeypatch.setitem(records._CONSUMER, "keep.seconds", "2")
    reader = RecordReader(contract, settings, spark)
    known, seen = connections(), []
    for piece in _cut(plan, random.Random(1)):
        _read(reader, piece)
        seen.append(connections() - known)
    assert all(some >= seen[0] for some in seen), "each batch reads on with the consumers of the one before"
    deadline = time.monotonic() + 20
    while connections() & seen[0]:
        assert time.monotonic() < deadline, "consumers that nobody wants any more keep their connections"
        time.sleep(0.1)


def test_plans_do_not_tell_the_settings_of_consumers(
    settings: Settings,
    contract: StreamContract,
    spark: "SparkSession",
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    send(settings, contract.topic.name, [b"{}"])
    monkeypatch.setitem(records._CONSUMER, "kafka.sasl.jaas.config", "canary-in-settings")
    read = RecordReader(contract, settings, spark).read(_plan(settings, contract))
    read.explain("extended")
    said = capsys.readouterr().out
    assert f"records of {contract.topic.name} " in said
    assert "canary" not in said
