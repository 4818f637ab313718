"""Streams for tests: the sales contract on a topic of the test's own, events for it, and sending them.

Here: what tests of several folders share. Not here: fixtures (`conftest`).
"""

import json
import random
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.settings import Settings

CATEGORIES = ("Electronics", "Books", "Toys")


def sales_on(settings: Settings, topic: str, **changes: Any) -> StreamContract:
    """The sales contract on a new topic with three partitions; both topics exist afterwards."""
    sales = load_stream("sales")
    topic_spec = sales.topic.model_copy(update={"name": topic, "partitions": 3})
    contract = sales.model_copy(update={"topic": topic_spec, **changes})
    apply_topics(settings, desired_topics([contract]))
    return contract


def sale(seed: int, *, at: datetime | None = None, **changes: Any) -> dict[str, Any]:
    """One valid event; the same seed gives the same order."""
    source = random.Random(seed)
    quantity, cents = source.randint(1, 5), source.randint(100, 20_000)
    moment = at or datetime.now(UTC) - timedelta(seconds=source.randint(0, 50))
    event = {
        "order_id": str(uuid.UUID(int=source.getrandbits(128))),
        "store_id": "STORE_NEWYORK_MAIN",
        "product_id": f"BOOKS_NOVEL_{source.randint(1, 50)}",
        "product_name": "A novel",
        "category": source.choice(CATEGORIES),
        "quantity": quantity,
        "unit_price": cents / 100,
        "total_price": round(quantity * cents) / 100,
        "sale_timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "customer_id": f"CUST_{source.randint(10_000, 99_999)}",
        "payment_method": "Credit Card",
        "discount": 0.1,
        "store_location": "New York",
    }
    return event | changes


def encode(event: dict[str, Any]) -> bytes:
    """The event as it goes into Kafka."""
    return json.dumps(event).encode()


def send(settings: Settings, topic: str, values: Iterable[bytes | None], *, transactional: bool = False) -> int:
    """Send records keyed by their number and wait for the broker's word on each; returns how many were acknowledged."""
    from confluent_kafka import Producer

    config = producer_config(settings)
    if transactional:
        # A transaction may last one minute; a delivery must not be allowed longer.
        config |= {"transactional.id": f"test-{uuid.uuid4()}", "delivery.timeout.ms": 30_000}
    producer = Producer(config)
    acknowledged: list[int] = []

    def delivered(error: Any, _: Any) -> None:
        assert error is None, error
        acknowledged.append(1)

    if transactional:
        producer.init_transactions()
        producer.begin_transaction()
    for number, value in enumerate(values):
        producer.produce(topic, key=str(number), value=value, on_delivery=delivered)
        producer.poll(0)
    if transactional:
        producer.commit_transaction()
    assert producer.flush(30) == 0
    return len(acknowledged)


def send_keyed(settings: Settings, topic: str, messages: Iterable[tuple[str | None, bytes]]) -> None:
    """Send messages with keys of their own and wait for the broker."""
    from lakehouse.sources.producer import EventSender

    sender = EventSender(settings, topic, producer_config(settings))
    sender.send(list(messages))
    sender.settle()
    sender.raise_if_failed(topic)


def rows_of(table: str, select: str) -> list[tuple[Any, ...]]:
    """What a Delta table holds now, as DuckDB sees it."""
    from lakehouse.engine.duck import lasting_delta_connection

    with lasting_delta_connection() as duck:
        return duck.execute(f"select {select} from delta_scan(?)", [table]).fetchall()
