"""Single records on the broker: their time, whether they are visible. Not here: offsets by time (`kafka.offsets`)."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lakehouse.kafka.client import client_config, translate, unreachable
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import Consumer


def first_timestamps(
    settings: Settings, topic: str, offsets: dict[int, int], *, timeout_seconds: float = 10
) -> dict[int, datetime]:
    """Broker time of the first committed record at or after an offset, per partition; no entry where none is.

    Raises:
        BrokerUnreachableError: when some partition does not answer within `timeout_seconds`.
    """
    from confluent_kafka import KafkaError, KafkaException, TopicPartition

    if not offsets:
        return {}
    consumer = peeking_consumer(settings, offsets, topic)
    found: dict[int, datetime] = {}
    open_partitions = set(offsets)
    deadline = time.monotonic() + timeout_seconds
    try:
        while open_partitions:
            message = consumer.poll(max(0.0, min(1.0, deadline - time.monotonic())))
            if message is None:
                if time.monotonic() >= deadline:
                    raise unreachable(settings, why=f"Partitions {sorted(open_partitions)} of {topic} sent nothing.")
                continue
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise translate(KafkaException(error), settings, doing=f"reading {topic}", topic=topic)
            partition = message.partition()
            if partition not in open_partitions:
                continue
            if error is None:
                found[partition] = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
            open_partitions.discard(partition)
            consumer.pause([TopicPartition(topic, partition)])
    finally:
        consumer.close()
    return found


def visible_offsets(
    settings: Settings, topic: str, partition: int, start: int, end: int, *, timeout_seconds: float = 30
) -> list[int]:
    """Offsets in `[start, end)` that hold a record for a read_committed reader; markers and aborted records do not.

    Raises:
        BrokerUnreachableError: when the partition does not answer within `timeout_seconds`.
    """
    from confluent_kafka import KafkaError, KafkaException

    consumer = peeking_consumer(settings, {partition: start}, topic)
    found: list[int] = []
    deadline = time.monotonic() + timeout_seconds
    try:
        while True:
            message = consumer.poll(max(0.0, min(1.0, deadline - time.monotonic())))
            if message is None:
                if time.monotonic() >= deadline:
                    raise unreachable(settings, why=f"Partition {partition} of {topic} sent nothing.")
                continue
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    return found
                raise translate(KafkaException(error), settings, doing=f"reading {topic}", topic=topic)
            if message.offset() >= end:
                return found
            found.append(message.offset())
    finally:
        consumer.close()


def peeking_consumer(settings: Settings, offsets: dict[int, int], topic: str) -> "Consumer":
    """A read_committed consumer placed at the given offsets; it belongs to no group and commits nothing."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        client_config(settings, group_id="lakehouse-peek", enable_auto_commit=False)
        | {"isolation.level": "read_committed", "enable.partition.eof": True, "auto.offset.reset": "error"}
    )
    consumer.assign([TopicPartition(topic, p, offset) for p, offset in offsets.items()])
    return consumer
