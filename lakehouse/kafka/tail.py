"""Following a topic: records as they come, from its beginning or its end. Here: reading. Not here: printing."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lakehouse.kafka.client import translate
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.kafka.timestamps import peeking_consumer
from lakehouse.settings import Settings

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Record:
    """One record of a topic. `timestamp` is the broker's or the producer's, as the topic is set."""

    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def follow(
    settings: Settings, topic: str, *, from_beginning: bool, is_endless: bool, stop: threading.Event
) -> Iterator[Record]:
    """Committed records of a topic, each partition in order. Belongs to no consumer group and commits nothing.

    Args:
        settings: The brokers.
        topic: Its name.
        from_beginning: Start at the first record that still exists; else behind the last.
        is_endless: Wait for new records; else end where the topic ended at the start.
        stop: Ends the waiting.

    Raises:
        BrokerUnreachableError: no broker answers.
        TopicMissingError: naming the nearest topic.
    """
    state = read_topic_state(settings, topic)
    start = state.start if from_beginning else state.end
    waiting = {p for p, end in state.end.items() if start[p] < end}
    if not (waiting or is_endless):
        return
    consumer = peeking_consumer(settings, start if is_endless else {p: start[p] for p in waiting}, topic)
    try:
        while not stop.is_set() and (waiting or is_endless):
            message = consumer.poll(_POLL_SECONDS)
            if message is None:
                continue
            error, partition = message.error(), message.partition()
            if error is not None:
                if not _is_end(error):
                    raise _typed(error, settings, topic)
                # Behind the last record there may be only a transaction's mark.
                waiting.discard(partition)
                continue
            if not is_endless and message.offset() >= state.end[partition]:
                waiting.discard(partition)
                continue
            yield _record(message)
            if message.offset() + 1 >= state.end[partition]:
                waiting.discard(partition)
    finally:
        consumer.close()


def _is_end(error: Any) -> bool:
    from confluent_kafka import KafkaError

    return bool(error.code() == KafkaError._PARTITION_EOF)


def _typed(error: Any, settings: Settings, topic: str) -> Exception:
    from confluent_kafka import KafkaException

    return translate(KafkaException(error), settings, doing=f"reading {topic}", topic=topic)


def _record(message: Any) -> Record:
    return Record(
        message.partition(),
        message.offset(),
        datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC),
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
    )
