"""A relay killed in mid-transaction, fenced by its successor, fed with what it cannot enrich: each record once."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lakehouse.engine.crash import RELAY_POINTS
from lakehouse.errors import RelayFencedError, TopicMissingError, UsageError
from lakehouse.kafka.client import client_config
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.kafka.relay import Relayed, add_fields, relay
from lakehouse.kafka.topic_plan import DesiredTopic
from lakehouse.kafka.topics import apply_topics
from lakehouse.settings import Settings
from lakehouse_tests.streams import send

pytestmark = pytest.mark.kafka
Topic = Callable[[str], str]


def topics(settings: Settings, topic_name: Topic) -> tuple[str, str]:
    source, target = topic_name("relay_from"), topic_name("relay_to")
    made = [
        DesiredTopic(name, parts, 1, {}, origin="test")
        for name, parts in ((source, 3), (target, 2), (f"{target}.dlq", 1))
    ]
    apply_topics(settings, made)
    return source, target


def run(settings: Settings, source: str, target: str, enrich: Any = None) -> Relayed:
    return relay(
        settings, source, target, enrich or add_fields({"region": "eu"}), idle_seconds=1, stop=threading.Event()
    )


def test_a_relay_does_not_read_what_it_writes(settings: Settings) -> None:
    for source in ("t", "t.dlq"):
        with pytest.raises(UsageError, match="would read what it writes"):
            run(settings, source, "t")


def numbers(settings: Settings, topic: str, *, committed: bool = True) -> Counter[int]:
    """How often each event number is in the topic."""
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    level = "read_committed" if committed else "read_uncommitted"
    consumer = Consumer(
        client_config(settings, group_id="test-count", enable_auto_commit=False)
        | {"isolation.level": level, "enable.partition.eof": True, "auto.offset.reset": "earliest"}
    )
    partitions = list(read_topic_state(settings, topic).end)
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    found: Counter[int] = Counter()
    ended: set[int] = set()
    while len(ended) < len(partitions):
        message = consumer.poll(10)
        assert message is not None
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF
            ended.add(message.partition())
        else:
            found[json.loads(message.value())["n"]] += 1
    consumer.close()
    return found


def events(first: int, count: int) -> list[bytes]:
    return [json.dumps({"n": number}).encode() for number in range(first, first + count)]


def test_a_relay_killed_in_mid_transaction_passes_each_record_once(settings: Settings, topic_name: Topic) -> None:
    source, target = topics(settings, topic_name)
    sent = 0
    for number, point in enumerate(RELAY_POINTS):
        sent += send(settings, source, events(number * 1000, 300))
        worker = subprocess.run(
            [sys.executable, "-m", "lakehouse_tests.faults.relay_worker", source, target],
            env={**os.environ, "LAKEHOUSE_CRASH_AT": point},
            check=False,
            timeout=120,
        )
        assert worker.returncode == -signal.SIGKILL, f"{point} was never reached"
    assert run(settings, source, target).passed == sent
    found = numbers(settings, target)
    assert (len(found), set(found.values())) == (sent, {1})
    assert numbers(settings, target, committed=False).total() > sent, "the killed ones had written"
    assert run(settings, source, target) == Relayed(), "a second run has nothing to do"


def test_a_relay_that_wakes_up_after_its_successor_is_fenced(settings: Settings, topic_name: Topic) -> None:
    source, target = topics(settings, topic_name)
    sent = send(settings, source, events(0, 50))
    asleep, awake = threading.Event(), threading.Event()
    caught: list[Exception] = []

    def sleepy(message: Any) -> bytes:
        asleep.set()
        assert awake.wait(60)
        return bytes(message.value())

    def zombie() -> None:
        try:
            run(settings, source, target, sleepy)
        except RelayFencedError as error:
            caught.append(error)

    thread = threading.Thread(target=zombie)
    thread.start()
    assert asleep.wait(60)
    assert run(settings, source, target).passed == sent
    awake.set()
    thread.join(60)
    assert len(caught) == 1
    assert numbers(settings, target) == Counter(range(50))


def test_what_cannot_be_enriched_is_set_aside_and_a_missing_topic_is_named(
    settings: Settings, topic_name: Topic
) -> None:
    source, target = topics(settings, topic_name)
    send(settings, source, [*events(0, 5), b"{", b"[1]"])
    assert run(settings, source, target) == Relayed(passed=5, set_aside=2, commits=1)
    assert sum(read_topic_state(settings, f"{target}.dlq").end.values()) >= 2
    with pytest.raises(TopicMissingError, match="nowhere"):
        run(settings, source, "nowhere")
