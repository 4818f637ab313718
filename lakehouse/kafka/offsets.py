"""What a topic holds now: its id, first offsets and last stable offsets; offsets by time; group offsets for lag tools.

Here: reading positions from the broker. Not here: which offsets a batch takes (`lake`): the Delta log decides that.
"""

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from lakehouse.errors import LakehouseError
from lakehouse.kafka.client import access_denied, admin_client, leaderless_codes, topic_missing, translate, unreachable
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from concurrent.futures import Future

    from confluent_kafka.admin import OffsetSpec

_NO_MESSAGE_AT_OR_AFTER = -1
_LOOK_AGAIN_SECONDS = 0.02
_URL_SAFE = str.maketrans("+/", "-_")


@dataclass(frozen=True)
class TopicState:
    """What can be read from a topic at one moment.

    Attributes:
        topic: Its name.
        topic_id: The broker's id of it, as Kafka's own tools print it (16 bytes in URL-safe base64); another one after
            the topic was deleted and made anew.
        start: First offset that still exists, per partition.
        end: Last stable offset per partition, exclusive: what a read_committed reader may read up to.
    """

    topic: str
    topic_id: str
    start: dict[int, int]
    end: dict[int, int]

    @property
    def is_unused(self) -> bool:
        """Nothing was ever sent to it, as far as a read_committed reader can tell."""
        return not any(self.end.values())


class TopicReader:
    """Reads topic states over one connection, for loops that ask often (about 5 ms per question).

    Not safe for use by several threads at once.
    """

    def __init__(self, settings: Settings, *, timeout_seconds: float = 10) -> None:
        self._settings = settings
        self._timeout = timeout_seconds
        self._admin = admin_client(settings, timeout_seconds=timeout_seconds)
        self._known: dict[str, tuple[str, list[int]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection; the reader cannot be used afterwards."""
        del self._admin

    def state(self, topic: str) -> TopicState:
        """The topic's id and offsets, all of one and the same incarnation of the topic.

        Raises:
            BrokerUnreachableError: when no broker answers within the reader's timeout.
            TopicMissingError: naming the nearest topic.
        """
        known = self._known.get(topic) or self._describe(topic)
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                start, end = self._start_and_end(topic, known[1])
            except _StaleMetadataError as error:
                known = self._look_again(topic, error, deadline)
                continue
            # A topic id never comes back. The same one before and after the offsets were read proves that they belong
            # to it, although the topic may be deleted and made anew at any moment.
            after = self._describe(topic)
            if after == known:
                return TopicState(topic, known[0], start, end)
            known = after

    def offsets_at(self, topic: str, when: datetime) -> dict[int, int]:
        """First offset per partition whose timestamp is `when` or later; the end offset where there is none.

        Raises:
            ValueError: when `when` has no time zone.
            BrokerUnreachableError: when no broker answers.
            TopicMissingError: when the topic does not exist.
        """
        from confluent_kafka.admin import OffsetSpec

        if when.tzinfo is None:
            raise ValueError("offsets_at needs a time with a zone")
        since = when.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        # Kafka counts whole milliseconds: rounding down would include a message from before `when`.
        milliseconds = math.ceil(since.total_seconds() * 1000)
        deadline = time.monotonic() + self._timeout
        partitions = self._describe(topic)[1]
        while True:
            try:
                # The end is asked first: a message that arrives in between then counts as "not yet there".
                end = self._answers(topic, self._asked(topic, partitions, OffsetSpec.latest()))
                found = self._answers(topic, self._asked(topic, partitions, OffsetSpec.for_timestamp(milliseconds)))
            except _StaleMetadataError as error:
                partitions = self._look_again(topic, error, deadline)[1]
                continue
            return {
                partition: end[partition] if offset == _NO_MESSAGE_AT_OR_AFTER else min(offset, end[partition])
                for partition, offset in found.items()
            }

    def commit_group(self, group: str, topic: str, offsets: dict[int, int]) -> None:
        """Show `offsets` (next to read) as the group's position, for lag tools only: nothing here reads them back.

        Raises:
            BrokerUnreachableError: when no broker answers.
            AccessDeniedError: when the user may not use this group.
            LakehouseError: when the broker refuses, for example while a consumer of that group is live.
        """
        from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, TopicPartition

        if not offsets:
            return
        request = ConsumerGroupTopicPartitions(
            group, [TopicPartition(topic, partition, offset) for partition, offset in sorted(offsets.items())]
        )
        futures = self._admin.alter_consumer_group_offsets([request], request_timeout=self._timeout)
        committed = self._result(futures[group], topic, f"committing the offsets of group {group}")
        for position in committed.topic_partitions:
            if position.error is not None:
                if position.error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                    raise access_denied(f"While committing the offsets of group {group}: {position.error.str()}.")
                raise LakehouseError(
                    f"Kafka refused the offset of {topic}[{position.partition}] for group {group}: "
                    f"{position.error.str()}."
                )

    def topics(self) -> list[str]:
        """Names of all topics that are not Kafka's own."""
        from confluent_kafka import KafkaException

        try:
            found = self._admin.list_topics(timeout=self._timeout).topics
        except KafkaException as error:
            raise translate(error, self._settings, doing="listing topics") from error
        return sorted(name for name in found if not name.startswith("__"))

    def _describe(self, topic: str) -> tuple[str, list[int]]:
        from confluent_kafka import KafkaError, KafkaException, TopicCollection

        future = self._admin.describe_topics(TopicCollection([topic]), request_timeout=self._timeout)[topic]
        try:
            description = future.result()
        except KafkaException as error:
            self._known.pop(topic, None)
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise topic_missing(topic, self.topics()) from error
            raise translate(error, self._settings, doing=f"describing topic {topic}", topic=topic) from error
        # librdkafka prints plain base64, whose "/" would break paths and transaction ids that carry the id.
        topic_id = str(description.topic_id).translate(_URL_SAFE)
        known = (topic_id, sorted(part.id for part in description.partitions))
        self._known[topic] = known
        return known

    def _start_and_end(self, topic: str, partitions: list[int]) -> tuple[dict[int, int], dict[int, int]]:
        from confluent_kafka.admin import OffsetSpec

        earliest = self._asked(topic, partitions, OffsetSpec.earliest())
        latest = self._asked(topic, partitions, OffsetSpec.latest())
        return self._answers(topic, earliest), self._answers(topic, latest)

    def _look_again(self, topic: str, error: "_StaleMetadataError", deadline: float) -> tuple[str, list[int]]:
        """Fetch leaders and partitions anew, shortly after the broker said that ours are out of date."""
        if time.monotonic() > deadline:
            raise error.explained from error
        time.sleep(_LOOK_AGAIN_SECONDS)
        self.topics()
        return self._describe(topic)

    def _asked(self, topic: str, partitions: list[int], spec: "OffsetSpec") -> "dict[Any, Future[Any]]":
        from confluent_kafka import IsolationLevel, TopicPartition

        futures: dict[Any, Future[Any]] = self._admin.list_offsets(
            {TopicPartition(topic, partition): spec for partition in partitions},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=self._timeout,
        )
        return futures

    def _answers(self, topic: str, futures: "dict[Any, Future[Any]]") -> dict[int, int]:
        from confluent_kafka import OFFSET_INVALID, KafkaException

        doing = f"reading the offsets of {topic}"
        try:
            answers = {asked.partition: int(future.result().offset) for asked, future in futures.items()}
        except KafkaException as error:
            explained = translate(error, self._settings, doing=doing, topic=topic)
            if error.args[0].code() in _stale_codes():
                raise _StaleMetadataError(explained) from error
            raise explained from error
        silent = sorted(partition for partition, offset in answers.items() if offset == OFFSET_INVALID)
        if silent:
            # What librdkafka hands out, without an error, when a leader did not answer in time. It is below every
            # offset that was read and would pass for a truncated topic.
            raise unreachable(self._settings, why=f"While {doing}: nothing came for partitions {silent}.")
        return answers

    def _result(self, future: "Future[Any]", topic: str, doing: str) -> Any:
        from confluent_kafka import KafkaException

        try:
            return future.result()
        except KafkaException as error:
            raise translate(error, self._settings, doing=doing, topic=topic) from error


class _StaleMetadataError(Exception):
    """Ask again: the topic was moved, deleted and made anew, or its leaders are being elected."""

    def __init__(self, explained: LakehouseError) -> None:
        super().__init__(explained.problem)
        self.explained = explained


def _stale_codes() -> set[int]:
    from confluent_kafka import KafkaError

    return leaderless_codes() | {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
    }


def read_topic_state(settings: Settings, topic: str, *, timeout_seconds: float = 10) -> TopicState:
    """The topic's id, first and last stable offsets. Loops use `TopicReader`.

    Raises:
        BrokerUnreachableError: when no broker answers within `timeout_seconds`.
        TopicMissingError: naming the nearest topic.
    """
    with TopicReader(settings, timeout_seconds=timeout_seconds) as reader:
        return reader.state(topic)


def offsets_at(settings: Settings, topic: str, when: datetime) -> dict[int, int]:
    """First offset per partition with a timestamp at or after `when`. Raises as `TopicReader.offsets_at`."""
    with TopicReader(settings) as reader:
        return reader.offsets_at(topic, when)


def commit_group_offsets(settings: Settings, group: str, topic: str, offsets: dict[int, int]) -> None:
    """Show `offsets` as the group's position. Raises as `TopicReader.commit_group`."""
    with TopicReader(settings) as reader:
        reader.commit_group(group, topic, offsets)
