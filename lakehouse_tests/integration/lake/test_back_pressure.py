"""How much of a backlog one micro-batch takes, and that its partitions are read side by side."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.offsets import TopicReader
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake import records
from lakehouse.lake.bronze import BronzeWriter
from lakehouse.lake.planner import WAIT_SECONDS
from lakehouse.lake.records import RecordReader
from lakehouse.settings import Settings
from lakehouse_tests.streams import sales_on, send

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.kafka
WAITED = 2 * WAIT_SECONDS


def test_the_longer_a_partition_waits_the_more_of_it_is_taken(
    settings: Settings, topic_name: Callable[[str], str]
) -> None:
    from confluent_kafka import Producer

    shipped = load_stream("sales")
    spec = {"name": topic_name("burst"), "partitions": 3, "config": {"message.timestamp.type": "CreateTime"}}
    contract = shipped.model_copy(update={"topic": shipped.topic.model_copy(update=spec)})
    apply_topics(settings, desired_topics([contract]))
    producer = Producer(producer_config(settings))
    now = round(time.time() * 1000)
    if now // 86_400_000 != (now - WAITED * 1000) // 86_400_000:
        pytest.skip(f"a batch holds one arrival day, and the day began less than {WAITED} s ago")
    backlogs = {0: (500, now - WAITED * 1000), 1: (500, now), 2: (WAIT_SECONDS, now)}
    for partition, (rows, moment) in backlogs.items():
        for _ in range(rows):
            producer.produce(contract.topic.name, value=b"{}", partition=partition, timestamp=moment)
    assert producer.flush(30) == 0

    def spans(rate: int, max_rows: int = 10_000) -> dict[int, int]:
        own = settings.model_copy(update={"max_rate_per_partition": rate})
        unused: Any = None
        with TopicReader(own) as topics:
            plan, waiting = BronzeWriter(contract, own, unused, topics).plan(max_rows)
        assert plan is not None
        assert waiting == 1000 + WAIT_SECONDS
        return {partition: end - start for partition, (start, end) in plan.ranges.items()}

    limited = spans(1)
    assert WAITED <= limited.pop(0) <= WAITED + 60
    assert limited == {1: WAIT_SECONDS, 2: WAIT_SECONDS}
    assert spans(0) == {0: 500, 1: 500, 2: WAIT_SECONDS}
    assert sum(spans(1, max_rows=90).values()) == 90, "the batch's own limit still counts"


@pytest.mark.spark
def test_the_partitions_of_one_batch_are_read_side_by_side(
    settings: Settings,
    topic_name: Callable[[str], str],
    spark: "SparkSession",
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    contract = sales_on(settings, topic_name("parallel"))
    send(settings, contract.topic.name, [b"{}"] * 90)

    def tasks() -> set[tuple[int, int]]:
        with TopicReader(settings) as topics:
            plan, _ = BronzeWriter(contract, settings, spark, topics).plan(1000)
        assert plan is not None
        read = RecordReader(contract, settings, spark).read(plan)
        read.explain()
        assert "BatchScan" in capsys.readouterr().out, "records come as rows, not as objects first"
        rows = read.selectExpr("spark_partition_id() AS task", "partition").distinct().collect()
        return {(row["task"], row["partition"]) for row in rows}

    assert {partition for _, partition in tasks()} == {0, 1, 2}
    assert len({task for task, _ in tasks()}) == 1, "so few rows are one task, and one file"
    monkeypatch.setattr(records, "_ROWS_PER_FILE", 10)
    assert len(tasks()) == len({task for task, _ in tasks()}) == 3, "many rows: a task for each range"
