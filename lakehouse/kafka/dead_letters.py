"""The dead-letter topic: reading what lies there, sending a record back to its own topic and saying so.

Here: messages and headers. Not here: which records, and how they are corrected (`lake.rejects.resend`), who writes new
dead letters (`lake.quarantine`).

A message without a `state` header is a dead letter; it may be there more than once. One with a state (`replayed`,
`released`) is a mark on an earlier letter with the same id. Marks are never taken back, so the order of messages does
not matter.
"""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from lakehouse.errors import LakehouseError
from lakehouse.kafka.client import producer_config, translate, unreachable
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.kafka.timestamps import peeking_consumer
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import Message, Producer

REPLAYED = "replayed"
_Outgoing = tuple[bytes | None, bytes | None, dict[str, str]]
"""(key, value, headers)"""


class Rejected(NamedTuple):
    """A record for the topic: its id, its key, the JSON of the six keys."""

    id: str
    key: bytes | None
    record: str


@dataclass(frozen=True)
class DeadLetter:
    """The newest dead letter of one id.

    Attributes:
        id: Identity of the rejected record: topic id, partition, offset.
        key: Its key.
        record: The six keys: original_record, error_type, error_message, timestamp, context, retry_count.
        retry_count: How often the record was sent again, this letter's marks included.
        mark: What became of it, or None.
        at: When the broker took the letter.
    """

    id: str
    key: bytes | None
    record: dict[str, Any]
    retry_count: int
    mark: str | None
    at: datetime


class Mailbox(NamedTuple):
    """All dead letters of a topic, oldest first, and the number of messages that are none (no id, no JSON)."""

    letters: list[DeadLetter]
    foreign: int


def read_dead_letters(settings: Settings, topic: str, *, timeout_seconds: float = 30) -> Mailbox:
    """Read a dead-letter topic from its beginning to where it ends now; the newest letter of each id counts.

    Raises:
        BrokerUnreachableError: when no broker answers, or none sends anything for `timeout_seconds`.
        TopicMissingError: naming the nearest topic.
    """
    letters: dict[str, DeadLetter] = {}
    marks: dict[str, tuple[int, str]] = {}
    foreign = 0
    for message in _messages(settings, topic, timeout_seconds):
        headers = {name: value for name, value in message.headers() or [] if value is not None}
        record = _record(message.value())
        if "id" not in headers or record is None:
            foreign += 1
            continue
        identity, count = headers["id"].decode(), _count(headers.get("retry_count"))
        if "state" in headers:
            marks[identity] = max(marks.get(identity, (0, "")), (count, headers["state"].decode()))
            continue
        at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
        letters.pop(identity, None)
        letters[identity] = DeadLetter(identity, message.key(), record, count, None, at)
    return Mailbox([_marked(letter, marks.get(letter.id)) for letter in letters.values()], foreign)


class Postman:
    """Sends dead letters, and records back to their topic, each time waiting until the broker has them."""

    def __init__(self, settings: Settings, topic: str, dlq: str) -> None:
        self._settings = settings
        self._topic = topic
        self._dlq = dlq

    @cached_property
    def _records(self) -> "Producer":
        from confluent_kafka import Producer

        return Producer(producer_config(self._settings))

    @cached_property
    def _letters(self) -> "Producer":
        """Letters have ids, and their order means nothing: no need for the right to an idempotent producer."""
        from confluent_kafka import Producer

        return Producer(producer_config(self._settings) | {"enable.idempotence": False})

    def post(self, letters: Iterable[Rejected], *, state: str = "") -> None:
        """Put these on the dead-letter topic; with a state, as marks on earlier letters. Raises as `send_again`."""
        mark = {"state": state} if state else {}
        outgoing = (
            (
                letter.key,
                letter.record.encode(),
                {"id": letter.id, "retry_count": str(json.loads(letter.record)["retry_count"]), **mark},
            )
            for letter in letters
        )
        self._deliver(self._letters, self._dlq, outgoing)

    def send_again(self, letters: list[tuple[DeadLetter, bytes | None]]) -> None:
        """Send these values with the letters' keys; the headers name the letter and count the attempt.

        Raises:
            BrokerUnreachableError: some were not acknowledged; those may or may not be there.
        """
        self._deliver(
            self._records,
            self._topic,
            [
                (letter.key, value, {"dlq_id": letter.id, "retry_count": str(letter.retry_count + 1)})
                for letter, value in letters
            ],
        )

    def mark_replayed(self, letters: list[DeadLetter]) -> None:
        """Say on the dead-letter topic that these were sent again. Raises as `send_again`."""
        marks: list[_Outgoing] = []
        for letter in letters:
            count = letter.retry_count + 1
            value = json.dumps(letter.record | {"retry_count": count}, ensure_ascii=False).encode()
            marks.append((letter.key, value, {"id": letter.id, "retry_count": str(count), "state": REPLAYED}))
        self._deliver(self._letters, self._dlq, marks)

    def _deliver(self, producer: "Producer", topic: str, messages: Iterable[_Outgoing]) -> None:
        from confluent_kafka import KafkaException

        failures: list[Any] = []

        def delivered(error: Any, _: Any) -> None:
            if error is not None:
                failures.append(error)

        for key, value, headers in messages:
            while True:
                try:
                    listed = [(name, text.encode()) for name, text in headers.items()]
                    producer.produce(topic, key=key, value=value, headers=listed, on_delivery=delivered)
                    break
                except BufferError:
                    producer.poll(0.5)
                except KafkaException as error:
                    failures.append(error.args[0])
                    break
        producer.flush()
        if failures:
            raise _not_sent(failures[0], len(failures), topic, self._settings)


def _not_sent(error: Any, count: int, topic: str, settings: Settings) -> LakehouseError:
    from confluent_kafka import KafkaException

    return translate(KafkaException(error), settings, doing=f"sending {count} records to {topic}", topic=topic)


def _messages(settings: Settings, topic: str, timeout_seconds: float) -> "Iterator[Message]":
    from confluent_kafka import KafkaError, KafkaException, TopicPartition

    state = read_topic_state(settings, topic)
    waiting = {p: state.start[p] for p, end in state.end.items() if state.start[p] < end}
    if not waiting:
        return
    consumer = peeking_consumer(settings, waiting, topic)
    deadline = time.monotonic() + timeout_seconds
    try:
        while waiting:
            message = consumer.poll(1.0)
            if message is None:
                if time.monotonic() >= deadline:
                    raise unreachable(settings, why=f"Partitions {sorted(waiting)} of {topic} sent nothing.")
                continue
            deadline = time.monotonic() + timeout_seconds
            error, partition = message.error(), message.partition()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise translate(KafkaException(error), settings, doing=f"reading {topic}", topic=topic)
            if error is None and message.offset() < state.end[partition]:
                yield message
            if error is not None or message.offset() + 1 >= state.end[partition]:
                waiting.pop(partition, None)
                consumer.pause([TopicPartition(topic, partition)])
    finally:
        consumer.close()


def _record(value: bytes | None) -> dict[str, Any] | None:
    try:
        record = json.loads(value or b"")
    except ValueError:
        return None
    return record if isinstance(record, dict) and "original_record" in record else None


def _count(value: bytes | None) -> int:
    return int(value) if value is not None and value.isdigit() else 0


def _marked(letter: DeadLetter, mark: tuple[int, str] | None) -> DeadLetter:
    if mark is None:
        return letter
    count, state = mark
    return DeadLetter(letter.id, letter.key, letter.record, max(letter.retry_count, count), state, letter.at)
