"""Topics and their states on a real broker."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lakehouse.errors import TopicMissingError, UsageError
from lakehouse.kafka.client import admin_client, producer_config
from lakehouse.kafka.offsets import TopicReader, commit_group_offsets, offsets_at, read_topic_state
from lakehouse.kafka.topic_plan import DesiredTopic
from lakehouse.kafka.topics import apply_topics, describe_topic, list_topics, plan_topics
from lakehouse.settings import Settings

pytestmark = pytest.mark.kafka
Names = Callable[[str], str]
CONFIG = {"message.timestamp.type": "LogAppendTime", "retention.ms": "604800000"}


def _make(settings: Settings, name: str, partitions: int = 2) -> DesiredTopic:
    topic = DesiredTopic(name, partitions, 1, CONFIG, origin="test")
    apply_topics(settings, [topic])
    return topic


def _send(settings: Settings, topic: str, values: list[str], *, partition: int = 0) -> None:
    from confluent_kafka import Producer

    producer = Producer(producer_config(settings))
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(20) == 0


def _delete(settings: Settings, topic: str) -> None:
    admin = admin_client(settings)
    admin.delete_topics([topic], operation_timeout=20)[topic].result()


def test_apply_creates_once_then_alters_only_what_differs(settings: Settings, topic_name: Names) -> None:
    name = topic_name("apply")
    topic = DesiredTopic(name, 2, 3, CONFIG, origin="test")
    (planned,) = plan_topics(settings, [topic])
    with pytest.raises(TopicMissingError):
        read_topic_state(settings, name)
    (created,) = apply_topics(settings, [topic])
    assert planned == created
    assert created.action == "create"
    assert "capped at 1" in created.notes[0]
    # Visible at once, and nothing left to do.
    assert read_topic_state(settings, name).end == {0: 0, 1: 0}
    assert apply_topics(settings, [topic])[0].action == "none"
    grown = DesiredTopic(name, 4, 1, CONFIG | {"retention.ms": "3600000"}, origin="test")
    (altered,) = apply_topics(settings, [grown])
    assert altered.details == ["partitions 2 → 4", "retention.ms 604800000 → 3600000"]
    assert apply_topics(settings, [grown])[0].action == "none"
    assert sorted(read_topic_state(settings, name).end) == [0, 1, 2, 3]


def test_a_smaller_wish_changes_nothing_at_all(settings: Settings, topic_name: Names) -> None:
    name, other = topic_name("shrink"), topic_name("other")
    _make(settings, name, 3)
    with pytest.raises(UsageError, match="cannot take partitions away"):
        apply_topics(settings, [DesiredTopic(other, 1), DesiredTopic(name, 2)])
    with pytest.raises(TopicMissingError):
        read_topic_state(settings, other)


def test_describe_and_list_show_the_topic(settings: Settings, topic_name: Names) -> None:
    name = topic_name("describe")
    _make(settings, name)
    _send(settings, name, ["a", "b"], partition=1)
    found = describe_topic(settings, name)
    assert [(part["start"], part["end"]) for part in found["partitions"]] == [(0, 0), (0, 2)]
    assert found["config"] == CONFIG
    (row,) = [row for row in list_topics(settings) if row["topic"] == name]
    assert (row["events"], row["partitions"], row["topic_id"]) == (2, 2, found["topic_id"])


def test_a_topic_made_anew_has_another_id(settings: Settings, topic_name: Names) -> None:
    name = topic_name("anew")
    _make(settings, name)
    _send(settings, name, ["a"])
    with TopicReader(settings) as reader:
        before = reader.state(name)
        assert reader.state(name) == before
        assert (before.start[0], before.end[0]) == (0, 1)
        assert len(before.topic_id) == 22
        assert not set("/+=") & set(before.topic_id)
        _delete(settings, name)
        _make(settings, name, 3)
        after = reader.state(name)
    assert after.topic_id != before.topic_id
    assert after.end == {0: 0, 1: 0, 2: 0}


def test_a_missing_topic_names_the_nearest(settings: Settings, topic_name: Names) -> None:
    name = topic_name("nearest")
    _make(settings, name)
    with pytest.raises(TopicMissingError, match=f"Did you mean '{name}'"):
        read_topic_state(settings, name[:-1] + "_")


def test_the_end_is_the_last_stable_offset(settings: Settings, topic_name: Names) -> None:
    """An open transaction hides what comes after it; an aborted one leaves offsets behind, without events."""
    from confluent_kafka import Producer

    name = topic_name("stable")
    _make(settings, name, 1)
    _send(settings, name, ["before"])
    config: dict[str, Any] = producer_config(settings) | {"transactional.id": name, "delivery.timeout.ms": 30_000}
    producer = Producer(config)
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(name, "in the transaction", partition=0)
    producer.flush(20)
    _send(settings, name, ["after"])
    assert read_topic_state(settings, name).end == {0: 1}
    producer.abort_transaction(20)
    # before, in the transaction, after, and the abort marker, which the broker writes a moment later.
    deadline = time.monotonic() + 20
    while (end := read_topic_state(settings, name).end) == {0: 1} and time.monotonic() < deadline:
        time.sleep(0.05)
    assert end == {0: 4}


def test_offsets_at_a_time(settings: Settings, topic_name: Names) -> None:
    name = topic_name("times")
    _make(settings, name)
    started = datetime.now(UTC) - timedelta(seconds=1)
    _send(settings, name, ["a", "b", "c"])
    assert offsets_at(settings, name, started) == {0: 0, 1: 0}
    # Nothing is that new: the end, not the broker's -1.
    assert offsets_at(settings, name, datetime.now(UTC) + timedelta(hours=1)) == {0: 3, 1: 0}
    with pytest.raises(ValueError, match="zone"):
        offsets_at(settings, name, datetime(2026, 1, 1))  # noqa: DTZ001


def test_group_offsets_are_there_for_lag_tools(settings: Settings, topic_name: Names) -> None:
    from confluent_kafka import ConsumerGroupTopicPartitions

    name = topic_name("group")
    _make(settings, name)
    commit_group_offsets(settings, f"lakehouse-{name}", name, {0: 5, 1: 7})
    commit_group_offsets(settings, f"lakehouse-{name}", name, {1: 8})
    admin = admin_client(settings)
    request = ConsumerGroupTopicPartitions(f"lakehouse-{name}")
    found = admin.list_consumer_group_offsets([request])[f"lakehouse-{name}"].result()
    assert {part.partition: part.offset for part in found.topic_partitions} == {0: 5, 1: 8}
