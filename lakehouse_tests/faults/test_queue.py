"""A queue in a real PostgreSQL: readers side by side, one killed between acknowledgement and delete, one that waits."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, TopicPartition
from typer.testing import CliRunner

from lakehouse.cli import produce
from lakehouse.engine.postgres import connect
from lakehouse.errors import UsageError
from lakehouse.kafka.client import client_config
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.kafka.topic_plan import DesiredTopic
from lakehouse.kafka.topics import apply_topics
from lakehouse.settings import Settings, load_settings
from lakehouse.sources import queue
from lakehouse.sources.queue import drain_queue

pytestmark = pytest.mark.kafka
QUEUE = "create table event_queue (id bigint generated always as identity, key text, payload jsonb not null)"
PUT = "insert into event_queue (key, payload) select 'user ' || n %% 7, json_build_object('n', n) from generate_series(%s::int, %s::int) n"  # noqa: E501


def sent(settings: Settings, topic: str) -> Counter[tuple[str, int]]:
    """Key and number of every message on the topic."""
    ends = read_topic_state(settings, topic).end
    consumer = Consumer({**client_config(settings), "group.id": "reader", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    found: Counter[tuple[str, int]] = Counter()
    while found.total() < sum(ends.values()):
        message = consumer.poll(30)
        assert message is not None
        found[message.key().decode(), json.loads(message.value())["n"]] += 1
    consumer.close()
    return found


def test_each_message_arrives_and_leaves_the_queue_whoever_dies_in_between(
    settings: Settings, database: str, topic_name: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = topic_name("queue")
    apply_topics(settings, [DesiredTopic(topic, 2)])
    with connect(database) as connection:
        connection.execute(QUEUE)
        connection.execute(PUT, (1, 300))
    # Dies with the first page acknowledged and not deleted.
    command = [sys.executable, "-m", "lakehouse.cli.main", "produce", "queue", "--table", "event_queue",
               "--topic", topic, "--page", "100"]  # fmt: skip
    killed = subprocess.run(command, env={**os.environ, "LAKEHOUSE_CRASH_AT": "queue_after_ack"}, check=False)
    assert killed.returncode == -signal.SIGKILL

    done = CliRunner().invoke(
        produce.app, ["queue", "--table", "event_queue", "--topic", topic, "--page", "100", "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["messages"] == 300
    expected = {(f"user {n % 7}", n) for n in range(1, 301)}
    found = sent(settings, topic)
    assert set(found) == expected
    assert found.total() == 400, "the page of the killed reader came twice, nothing else"
    with connect(database) as connection:
        assert connection.execute("select count(*) from event_queue").fetchone() == (0,)
        connection.execute(PUT, (301, 500))

    # Two readers share the rest; both wait for more, and a NOTIFY wakes them long before they would look anyway.
    monkeypatch.setattr(queue, "LOOK_SECONDS", 600.0)
    again, stop = load_settings(), threading.Event()
    taken = [0, 0]

    def read(number: int) -> None:
        summary = drain_queue(
            again, table="public.event_queue", topic=topic, page=10, follow=True, stop=stop, report=lambda _: None
        )
        taken[number] = summary.messages

    readers = [threading.Thread(target=read, args=(number,)) for number in (0, 1)]
    for reader in readers:
        reader.start()
    _until_empty(database)
    with connect(database) as connection:
        connection.execute(PUT, (501, 510))
        connection.execute("notify lakehouse_queue")
    _until_empty(database)
    stop.set()
    for reader in readers:
        reader.join(30)
    assert sum(taken) == 210
    assert set(sent(settings, topic)) == {(f"user {n % 7}", n) for n in range(1, 511)}


def _until_empty(database: str) -> None:
    deadline = time.monotonic() + 60
    with connect(database) as connection:
        while connection.execute("select count(*) from event_queue").fetchone() != (0,):
            assert time.monotonic() < deadline, "nobody takes the messages"
            time.sleep(0.05)


def test_what_is_no_queue_is_named(settings: Settings, database: str, topic_name: Callable[[str], str]) -> None:
    topic = topic_name("queue")
    apply_topics(settings, [DesiredTopic(topic, 1)])
    with connect(database) as connection:
        connection.execute("create table orders (id bigint, amount numeric)")
    for table, said in (("orders", "no column key, payload"), ("nothing", r"no table public\.nothing")):
        with pytest.raises(UsageError, match=said):
            drain_queue(load_settings(), table=table, topic=topic, page=1, follow=False, stop=threading.Event(),
                        report=lambda _: None)  # fmt: skip
