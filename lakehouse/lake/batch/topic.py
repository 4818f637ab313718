"""Batch rows by way of a Kafka topic: published under an attempt's own id, read back from exactly their offsets.

The topic is there for other consumers; the step's table is what counts. A step that runs again publishes again, and
takes the rows of its own attempt alone, so nothing is doubled; what a killed attempt left in the topic has no effect.
Here: sending and reading back. Not here: streams, which number their batches (`lake.bronze`).
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.pipeline import ExtractStep
from lakehouse.contracts.window import Window
from lakehouse.errors import BrokerUnreachableError
from lakehouse.kafka.client import producer_config, require_reachable, spark_options, translate
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.quality.rules import quote
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_FLUSH_SECONDS = 60.0
Ranges = dict[int, tuple[int, int]]


def through_topic(
    rows: Iterable[Mapping[str, str | None]],
    step: ExtractStep,
    window: Window,
    settings: Settings,
    spark: "SparkSession",
) -> "DataFrame":
    """Send rows to the step's topic and read them back as columns of text.

    Raises:
        BrokerUnreachableError: the broker did not take them all; run the step again.
        TopicMissingError: there is no such topic.
    """
    topic = str(step.topic)
    attempt = uuid.uuid4().hex
    ranges = publish(rows, topic, step.topic_key, {"window": window.key, "attempt": attempt}, settings)
    columns = ", ".join(f"`{name}` string" for name in step.columns)
    if not ranges:
        return spark.createDataFrame([], columns)
    records = (
        spark.read.format("kafka")
        .options(**spark_options(settings))
        .option("assign", json.dumps({topic: sorted(ranges)}))
        .option("startingOffsets", json.dumps({topic: {str(p): first for p, (first, _) in ranges.items()}}))
        .option("endingOffsets", json.dumps({topic: {str(p): last + 1 for p, (_, last) in ranges.items()}}))
        .option("includeHeaders", "true")
        .load()
    )
    own = records.where(f"exists(headers, h -> h.key = 'attempt' AND cast(h.value AS string) = {quote(attempt)})")
    # Parsed once: the fields are taken from the parsed value, not from the text.
    parsed = own.selectExpr(f"from_json(cast(value AS string), {quote(columns)}) AS _row")
    return parsed.selectExpr(*(f"_row.`{name}` AS `{name}`" for name in step.columns))


def publish(
    rows: Iterable[Mapping[str, str | None]], topic: str, key: str | None, headers: dict[str, str], settings: Settings
) -> Ranges:
    """Send rows as JSON and wait for the broker's word on each.

    Returns:
        First and last offset of the rows in each partition; other writers' records may lie between them.
    """
    from confluent_kafka import KafkaException, Producer

    require_reachable(settings)
    # Asked first: a producer would wait a minute for a topic that is not there.
    read_topic_state(settings, topic)
    ranges: Ranges = {}
    failures: list[Any] = []

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            failures.append(error)
            return
        partition, offset = message.partition(), message.offset()
        first, last = ranges.get(partition, (offset, offset))
        ranges[partition] = (min(first, offset), max(last, offset))

    producer = Producer(producer_config(settings))
    stamps = [(name, value.encode()) for name, value in headers.items()]
    try:
        for row in rows:
            name = row.get(key) if key else None
            value = json.dumps(row, ensure_ascii=False).encode()
            _send(producer, topic, name.encode() if name is not None else None, value, stamps, delivered)
        unsent = producer.flush(_FLUSH_SECONDS)
    except KafkaException as failure:
        raise translate(failure, settings, doing="publishing a batch", topic=topic) from failure
    if unsent or failures:
        raise BrokerUnreachableError(
            f"{unsent + len(failures)} rows were not taken by topic {topic}.",
            why=str(failures[0]) if failures else f"No answer within {_FLUSH_SECONDS:g} s.",
            fix="Run the step again; nothing of this attempt counts.",
        )
    return ranges


def _send(producer: Any, topic: str, key: bytes | None, value: bytes, headers: Any, delivered: Any) -> None:
    while True:
        try:
            producer.produce(topic, key=key, value=value, headers=headers, on_delivery=delivered)
        except BufferError:
            # The queue is full: wait for deliveries.
            producer.poll(0.5)
            continue
        producer.poll(0)
        return
