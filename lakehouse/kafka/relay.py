"""A relay from one topic to another, exactly once: records and position are committed in one Kafka transaction.

Here: the loop read → enrich → write → commit, abort and fencing. Not here: what enriching means. One relay per pair of
topics is live: a new one takes the transactional id over, which aborts what the old one left open and fences it.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.engine.crash import crash_point
from lakehouse.errors import LakehouseError, RelayFencedError, ResumePointGoneError, UsageError
from lakehouse.kafka.client import client_config, producer_config, translate
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

Enrich = Callable[["Message"], bytes | None]
_TIMEOUT_SECONDS = 30.0
_BATCH_RECORDS = 1_000
_BATCH_SECONDS = 0.5


@dataclass
class Relayed:
    """Records passed on, records set aside because they could not be enriched, transactions committed and aborted."""

    passed: int = 0
    set_aside: int = 0
    commits: int = 0
    aborts: int = 0


def relay(
    settings: Settings,
    source: str,
    target: str,
    enrich: Enrich,
    *,
    idle_seconds: float,
    stop: threading.Event,
    report: Callable[[Relayed], None] = lambda _: None,
) -> Relayed:
    """Pass the records of `source` on to `target` until nothing new came for `idle_seconds`, or `stop` is set.

    Starts where the last committed transaction ended, at the first record when there is none.

    Args:
        settings: The brokers.
        source: Topic to read, read_committed.
        target: Topic to write.
        enrich: The new value of a record; a ValueError sends the record as it is to `<target>.dlq`.
        idle_seconds: See above.
        stop: Set by whoever wants it to end; the open transaction is finished.
        report: Called after each commit.

    Raises:
        UsageError: it would read what it writes.
        RelayFencedError: another relay of these topics has taken over; nothing of the open transaction is visible.
        ResumePointGoneError: retention ran past the relay's position.
        BrokerUnreachableError, TopicMissingError, AccessDeniedError: as everywhere.
    """
    if source in (target, f"{target}.dlq"):
        raise UsageError(
            f"A relay from {source} to {target} would read what it writes, for ever.",
            fix="Name another topic as the target.",
        )
    for topic in (source, target, f"{target}.dlq"):
        read_topic_state(settings, topic)
    return _Relay(settings, source, target, enrich).run(idle_seconds, stop, report)


def add_fields(fields: dict[str, str]) -> Enrich:
    """Enriching by fixed fields: they are added to the record's JSON object, replacing ones of the same name."""

    def enrich(message: "Message") -> bytes | None:
        value: bytes | None = message.value()
        if not fields or value is None:
            return value
        event = json.loads(value)
        if not isinstance(event, dict):
            raise ValueError("no JSON object")  # noqa: TRY004 - bad data, not a wrong type of ours
        return json.dumps(event | fields).encode()

    return enrich


class _Relay:
    def __init__(self, settings: Settings, source: str, target: str, enrich: Enrich) -> None:
        self._settings = settings
        self._source = source
        self._target = target
        self._enrich = enrich
        self._group = f"lakehouse-relay-{source}-{target}"
        self._done = Relayed()
        # Partitions of which more may be waiting on the broker.
        self._unended: set[int] = set()

    def run(self, idle_seconds: float, stop: threading.Event, report: Callable[[Relayed], None]) -> Relayed:
        from confluent_kafka import Consumer, KafkaException, Producer

        producer = Producer(
            producer_config(self._settings) | {"transactional.id": self._group, "delivery.timeout.ms": 30_000}
        )
        consumer = Consumer(
            client_config(self._settings, group_id=self._group, enable_auto_commit=False)
            | {"isolation.level": "read_committed", "auto.offset.reset": "error", "enable.partition.eof": True}
        )
        try:
            # Before the position is read: this ends what a predecessor left open, so that its position is final.
            producer.init_transactions(_TIMEOUT_SECONDS)
            self._start(consumer)
            idle_since = time.monotonic()
            # Idle is who has seen the end of each partition, not who is still waiting for the first answer.
            while not stop.is_set() and (self._unended or time.monotonic() - idle_since < idle_seconds):
                messages = self._records(consumer.consume(_BATCH_RECORDS, _BATCH_SECONDS))
                if messages:
                    self._transaction(producer, consumer, messages)
                    report(self._done)
                if messages or self._unended:
                    idle_since = time.monotonic()
        except KafkaException as error:
            raise self._explained(error) from error
        finally:
            consumer.close()
        return self._done

    def _transaction(self, producer: "Producer", consumer: "Consumer", messages: "list[Message]") -> None:
        """Commit these records and the position behind them, or neither."""
        from confluent_kafka import KafkaException

        passed = set_aside = 0
        producer.begin_transaction()
        try:
            for message in messages:
                is_good = self._produce(producer, message)
                passed, set_aside = passed + is_good, set_aside + (not is_good)
            producer.flush(_TIMEOUT_SECONDS)
            crash_point("relay_after_produce")
            position = consumer.position(consumer.assignment())
            producer.send_offsets_to_transaction(position, consumer.consumer_group_metadata(), _TIMEOUT_SECONDS)
            crash_point("relay_before_commit")
            producer.commit_transaction(_TIMEOUT_SECONDS)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            producer.abort_transaction(_TIMEOUT_SECONDS)
            self._done.aborts += 1
            self._start(consumer)
            return
        self._done.passed += passed
        self._done.set_aside += set_aside
        self._done.commits += 1

    def _start(self, consumer: "Consumer") -> None:
        position = self._position(consumer)
        self._unended = {part.partition for part in position}
        consumer.assign(position)

    def _records(self, messages: "list[Message]") -> "list[Message]":
        """What is a record among what the consumer gave; the ends of partitions are noted."""
        from confluent_kafka import KafkaError, KafkaException

        records = []
        for message in messages:
            failure = message.error()
            if failure is None:
                self._unended.add(message.partition())
                records.append(message)
            elif failure.code() == KafkaError._PARTITION_EOF:
                self._unended.discard(message.partition())
            else:
                raise KafkaException(failure)
        return records

    def _produce(self, producer: "Producer", message: "Message") -> bool:
        origin = f"{message.topic()}/{message.partition()}/{message.offset()}"
        headers: list[Any] = [*(message.headers() or []), ("relayed_from", origin.encode())]
        try:
            value, topic = self._enrich(message), self._target
        except ValueError as error:
            value, topic = message.value(), f"{self._target}.dlq"
            headers.append(("error_message", str(error).encode()))
        while True:
            try:
                producer.produce(topic, value, message.key(), headers=headers)
            except BufferError:
                producer.poll(0.1)
            else:
                return topic == self._target

    def _position(self, consumer: "Consumer") -> "list[TopicPartition]":
        """Where the last committed transaction ended; the first record of a partition that it never saw."""
        from confluent_kafka import TopicPartition

        state = read_topic_state(self._settings, self._source)
        known = consumer.committed([TopicPartition(self._source, p) for p in state.start], timeout=_TIMEOUT_SECONDS)
        points = {part.partition: part.offset if part.offset >= 0 else state.start[part.partition] for part in known}
        gone = {p: offset for p, offset in points.items() if offset < state.start[p]}
        if gone:
            ranges = ", ".join(f"partition {p}: {offset} to {state.start[p] - 1}" for p, offset in sorted(gone.items()))
            raise ResumePointGoneError(
                f"Topic {self._source} no longer has offsets that the relay to {self._target} has not read ({ranges}).",
                why="Retention deleted them before they were read.",
                fix=f"Set the group {self._group} to offsets that exist, with Kafka's own tools, to go on behind them.",
            )
        return [TopicPartition(self._source, partition, offset) for partition, offset in points.items()]

    def _explained(self, error: "KafkaException") -> LakehouseError:
        from confluent_kafka import KafkaError

        fenced = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
        if error.args[0].code() in fenced:
            return RelayFencedError(
                f"Another relay from {self._source} to {self._target} has taken over.",
                why="Only the one that started last may write; nothing of this one's open transaction is visible.",
                fix="Nothing, when the other one was meant. See docs/runbooks/RELAY_FENCED.md.",
            )
        doing = f"relaying {self._source} to {self._target}"
        return translate(error, self._settings, doing=doing, topic=self._source)
