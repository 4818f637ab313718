"""A real Kafka Connect with Debezium for tests, beside a broker and a PostgreSQL of its own.

Here: starting it, the source's audit table, reading a topic up to a marker. Not here: fixtures, stories.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lakehouse.engine.embedded import ports
from lakehouse.engine.embedded import stack as embedded
from lakehouse.kafka.client import client_config
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.stacks import SHORT_LIVED_JAVA

AUDIT = """
create table audit (
    change bigserial primary key, id bigint not null, name text, email text, city text, is_gone boolean not null
);
create function note() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or (tg_op = 'UPDATE' and old.id <> new.id) then
        insert into audit (id, is_gone) values (old.id, true);
    end if;
    if tg_op <> 'DELETE' then
        insert into audit (id, name, email, city, is_gone) values (new.id, new.name, new.email, new.city, false);
    end if;
    return null;
end
$$;
create trigger noted after insert or update or delete on customers for each row execute function note();
"""
"""The source's own account of its customers: each state that each row ever had, in order."""


class Record(NamedTuple):
    """A record of a topic: its key, its value, None for a tombstone."""

    key: dict[str, Any] | None
    value: dict[str, Any] | None


@contextmanager
def running_capture(home: Path, *more: str) -> Iterator[Settings]:
    """A broker, a PostgreSQL and a Connect of their own, and `more`; they stop when this process is killed."""
    taken: set[int] = set()
    for _ in range(2):
        taken.add(ports.any_free(taken))
    kafka, postgres = taken
    options = {"LAKEHOUSE_KAFKA_PORT": kafka, "PGPORT": postgres, "LAKEHOUSE_KAFKA_MEMORY": "256m"}
    settings = load_settings(LAKEHOUSE_HOME=home, LAKEHOUSE_JAVA_OPTIONS=SHORT_LIVED_JAVA, **options)
    try:
        embedded.start(settings, ("kafka", "postgres", "connect", *more), owner_pid=os.getpid())
        yield load_settings(LAKEHOUSE_HOME=home)
    finally:
        embedded.stop(settings)


def records_until(settings: Settings, topic: str, marker: int) -> list[Record]:
    """Every record of a topic of three partitions, once the key `marker` is among them."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(client_config(settings, group_id="reader", enable_auto_commit=False))
    consumer.assign([TopicPartition(topic, number, 0) for number in range(3)])
    found: list[Record] = []
    deadline = time.monotonic() + 180
    is_marked = False
    try:
        while True:
            message = consumer.poll(0.5 if is_marked else 5)
            # A tombstone is a message of no bytes, which counts as false.
            if message is None:
                if is_marked:
                    return found
                assert time.monotonic() < deadline, f"{marker} did not arrive; {len(found)} records did"
                continue
            assert message.error() is None
            key, value = message.key(), message.value()
            found.append(Record(json.loads(key) if key else None, json.loads(value) if value else None))
            is_marked = is_marked or found[-1].key == {"id": marker}
    finally:
        consumer.close()
