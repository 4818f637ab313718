"""The topics that should exist, and making the cluster match: create, alter, add partitions; never reduce or delete.

Here: what the contracts want, and every question and change that goes to the cluster. Not here: the decisions
(`kafka.topic_plan`), offsets (`kafka.offsets`), `infra/kafka/topics.yaml` (`kafka.topics_file`).
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lakehouse.errors import LakehouseError
from lakehouse.kafka.client import admin_client, topic_missing, translate
from lakehouse.kafka.offsets import TopicReader
from lakehouse.kafka.topic_plan import ActualTopic, DesiredTopic, Profile, StreamPromise, TopicChange, difference, fit
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_MILLISECONDS_PER_SECOND = 1000
_VISIBLE_SECONDS = 15
_DEAD_LETTER_RETENTION = timedelta(days=30)


def desired_topics(streams: Mapping[str, StreamPromise] | Iterable[StreamPromise]) -> list[DesiredTopic]:
    """Every stream's topic and its dead-letter topic, in the order of the streams."""
    contracts = streams.values() if isinstance(streams, Mapping) else streams
    topics = []
    for stream in contracts:
        spec = stream.topic
        config = {
            # The broker's clock says when an event arrived; a producer's clock cannot move it to another day.
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": _milliseconds(spec.retention),
            "cleanup.policy": "delete",
        }
        topics.append(
            DesiredTopic(
                spec.name,
                spec.partitions,
                spec.replication_factor,
                config | spec.config,
                origin=f"stream {stream.name}",
                kind=spec.kind,
            )
        )
        dead_letters = {
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": _milliseconds(max(spec.retention, _DEAD_LETTER_RETENTION)),
            "cleanup.policy": "delete",
        }
        topics.append(
            DesiredTopic(
                spec.dlq,
                1,
                spec.replication_factor,
                dead_letters,
                origin=f"dead letters of {stream.name}",
                kind="events",
            )
        )
    return topics


def plan_topics(
    settings: Settings, topics: Iterable[DesiredTopic], *, profile: Profile | None = None
) -> list[TopicChange]:
    """What `apply_topics` would do; changes nothing. Raises as `apply_topics`."""
    admin = admin_client(settings)
    return [change for _, change in _plan(admin, settings, list(topics), profile or Profile())]


def apply_topics(
    settings: Settings, topics: Iterable[DesiredTopic], *, profile: Profile | None = None
) -> list[TopicChange]:
    """Make the cluster match: create what is missing, alter settings, add partitions. A second call changes nothing.

    Everything is compared before anything is changed.

    Raises:
        BrokerUnreachableError: when no broker answers.
        UsageError: when a topic has more partitions than wanted (Kafka cannot take partitions away), or the profile
            does not fit the cluster.
        LakehouseError: when the broker refuses a setting, naming it.
    """
    admin = admin_client(settings)
    planned = _plan(admin, settings, list(topics), profile or Profile())
    for topic, change in planned:
        if change.action == "create":
            _create(admin, settings, topic)
        elif change.action == "alter":
            _alter(admin, settings, topic)
    _wait_until_visible(admin, settings, {topic.name: topic.partitions for topic, _ in planned})
    return [change for _, change in planned]


def list_topics(settings: Settings) -> list[dict[str, Any]]:
    """Every topic that is not Kafka's own: topic, topic_id, partitions, replication_factor, events.

    `events` counts offsets between the first and the last stable one, over all partitions.

    Raises:
        BrokerUnreachableError: when no broker answers.
    """
    with TopicReader(settings) as reader:
        names = reader.topics()
        metadata = _metadata(admin_client(settings), settings)
        rows = []
        for name in names:
            state = reader.state(name)
            rows.append(
                {
                    "topic": name,
                    "topic_id": state.topic_id,
                    "partitions": len(state.end),
                    "replication_factor": len(metadata[name].partitions[0].replicas),
                    "events": sum(state.end.values()) - sum(state.start.values()),
                }
            )
    return rows


def describe_topic(settings: Settings, name: str) -> dict[str, Any]:
    """One topic: id, partitions with leader, replicas and offsets, and its own settings.

    Raises:
        BrokerUnreachableError: when no broker answers.
        TopicMissingError: naming the nearest topic.
    """
    with TopicReader(settings) as reader:
        state = reader.state(name)
    admin = admin_client(settings)
    metadata = _metadata(admin, settings)
    if name not in metadata:
        raise topic_missing(name, sorted(metadata))
    partitions = [
        {
            "partition": number,
            "leader": part.leader,
            "replicas": list(part.replicas),
            "in_sync": list(part.isrs),
            "start": state.start[number],
            "end": state.end[number],
        }
        for number, part in sorted(metadata[name].partitions.items())
        if number in state.end
    ]
    return {
        "topic": name,
        "topic_id": state.topic_id,
        "events": sum(state.end.values()) - sum(state.start.values()),
        "partitions": partitions,
        "config": _topic_config(admin, settings, [name], only_overrides=True)[name],
    }


def _plan(
    admin: "AdminClient", settings: Settings, topics: list[DesiredTopic], profile: Profile
) -> list[tuple[DesiredTopic, TopicChange]]:
    metadata = _metadata(admin, settings)
    brokers = len(_cluster(admin, settings).brokers)
    existing = [topic.name for topic in topics if topic.name in metadata]
    configs = _topic_config(admin, settings, existing)
    planned = []
    for wanted in topics:
        topic, notes = fit(wanted, profile, brokers)
        actual = None
        if topic.name in metadata:
            parts = metadata[topic.name].partitions
            actual = ActualTopic(len(parts), min(len(part.replicas) for part in parts.values()), configs[topic.name])
        change = difference(topic, actual)
        planned.append((topic, replace(change, notes=notes + change.notes)))
    return planned


def _milliseconds(duration: timedelta) -> str:
    return str(int(duration.total_seconds() * _MILLISECONDS_PER_SECOND))


def _cluster(admin: "AdminClient", settings: Settings) -> Any:
    from confluent_kafka import KafkaException

    try:
        return admin.list_topics(timeout=10)
    except KafkaException as error:
        raise translate(error, settings, doing="listing topics") from error


def _metadata(admin: "AdminClient", settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = _cluster(admin, settings).topics
    return found


def _topic_config(
    admin: "AdminClient", settings: Settings, names: list[str], *, only_overrides: bool = False
) -> dict[str, dict[str, str]]:
    from confluent_kafka.admin import ConfigResource, ConfigSource, ResourceType

    if not names:
        return {}
    futures = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
    configs = {}
    for resource, future in futures.items():
        entries = _done(future, settings, f"reading the settings of topic {resource.name}", resource.name)
        configs[resource.name] = {
            key: str(entry.value)
            for key, entry in sorted(entries.items())
            if not only_overrides or entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        }
    return configs


def _create(admin: "AdminClient", settings: Settings, topic: DesiredTopic) -> None:
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic

    new = NewTopic(
        topic.name,
        num_partitions=topic.partitions,
        replication_factor=topic.replication_factor,
        config=topic.config,
    )
    try:
        admin.create_topics([new], operation_timeout=10)[topic.name].result()
    except KafkaException as error:
        # Somebody else made it in the same moment: the next apply compares its settings.
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise translate(error, settings, doing=f"creating topic {topic.name}") from error


def _alter(admin: "AdminClient", settings: Settings, topic: DesiredTopic) -> None:
    from confluent_kafka.admin import (
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        NewPartitions,
        ResourceType,
    )

    if len(_metadata(admin, settings)[topic.name].partitions) < topic.partitions:
        futures = admin.create_partitions([NewPartitions(topic.name, topic.partitions)], operation_timeout=10)
        _done(futures[topic.name], settings, f"adding partitions to {topic.name}", topic.name)
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        for key, value in sorted(topic.config.items())
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        _done(future, settings, f"altering topic {topic.name}", topic.name)


def _wait_until_visible(admin: "AdminClient", settings: Settings, wanted: dict[str, int]) -> None:
    """The controller answers before the brokers know: whoever asks at once would not find the new topic."""
    deadline = time.monotonic() + _VISIBLE_SECONDS
    while True:
        metadata = _metadata(admin, settings)
        behind = [name for name, count in wanted.items() if not _is_ready(metadata.get(name), count)]
        if not behind:
            return
        if time.monotonic() > deadline:
            raise LakehouseError(
                f"Kafka accepted {', '.join(behind)} but does not show it after {_VISIBLE_SECONDS} s.",
                fix="Look into the broker's log, then run `lakehouse topics apply` again.",
            )
        time.sleep(0.02)


def _is_ready(metadata: Any, partitions: int) -> bool:
    return (
        metadata is not None
        and len(metadata.partitions) >= partitions
        and all(part.leader >= 0 for part in metadata.partitions.values())
    )


def _done(future: Any, settings: Settings, doing: str, topic: str) -> Any:
    from confluent_kafka import KafkaException

    try:
        return future.result()
    except KafkaException as error:
        raise translate(error, settings, doing=doing, topic=topic) from error
