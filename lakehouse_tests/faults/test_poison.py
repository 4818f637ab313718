"""Whatever a producer may send: kept as it came, judged, accounted for, and never in the way of the next record."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.engine.duck import lasting_delta_connection
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings
from lakehouse_tests.faults.story import Topic, assert_whole, drain_once
from lakehouse_tests.streams import encode, sale, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
NOW = datetime.now(UTC)
GOOD = sale(1, at=NOW)
FIVE_MEGABYTES = 5 << 20

# Name: key, value, the reason that it is in quarantine for; "" when it is valid.
Corpus = dict[str, tuple[bytes | None, bytes | None, str]]


def good(number: int, **changes: Any) -> bytes:
    return encode(sale(number, at=NOW) | changes)


CORPUS: Corpus = {
    "good": (b"k", good(1), ""),
    "no_key": (None, good(2), ""),
    "tombstone": (b"k", None, "no_value"),
    "nothing_at_all": (None, None, "no_value"),
    "empty": (b"k", b"", "malformed_json"),
    "bad_json": (b"k", b'{"order_id": ', "malformed_json"),
    "not_utf8": (b"\xff\xfe", b"\xff\xfe" + good(3), "not_utf8"),
    "deep": (b"k", b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed_json"),
    "wrong_type": (b"k", good(4, quantity="three"), "quantity_type"),
    "now_an_object": (b"k", good(5, quantity={"pieces": 1}), "quantity_type"),
    "too_large_a_number": (
        b"k",
        good(6).replace(b'"unit_price": ', b'"unit_price": 1e400, "was": '),
        "unit_price_type",
    ),
    "repeated_field": (b"k", good(7)[:-1] + b', "store_location": "Boston"}', ""),
    "new_field": (b"k", good(8, loyalty={"tier": 2}), ""),
    "five_megabytes": (b"k", good(9, note="x" * FIVE_MEGABYTES), ""),
    "five_broken_megabytes": (b"k", b'{"note": "' + b'"' * FIVE_MEGABYTES, "malformed_json"),
    "long_exponent": (
        b"k",
        good(15).replace(b'"unit_price": ', b'"unit_price": 1e30000000, "was": '),
        "unit_price_type",
    ),
    "long_fraction": (
        b"k",
        good(16).replace(b'"unit_price": ', b'"unit_price": 1e-9999999, "was": '),
        "unit_price_positive",
    ),
    "repeated_and_wrong": (b"k", good(17)[:-1] + b', "quantity": "three"}', "malformed_json"),
    "two_events": (b"k", good(18) + b"\n" + good(19), "malformed_json"),
    "rest_behind": (b"k", good(20) + b"\0", "malformed_json"),
    "single_quotes": (b"k", good(21).replace(b'"', b"'"), "malformed_json"),
    "line_end_behind": (b"k", good(22) + b" \r\n", ""),
    "year_0": (b"k", good(23, sale_timestamp="0000-01-01T00:00:00Z"), "sale_timestamp_type"),
    "year_0_in_utc": (b"k", good(24, sale_timestamp="0001-01-01T00:00:00+01:00"), "sale_timestamp_type"),
    "year_12000": (b"k", good(25, sale_timestamp="+12000-01-01T00:00:00Z"), "sale_timestamp_type"),
    "microseconds_as_seconds": (b"k", good(26, sale_timestamp=1_764_496_800_000_000), "sale_timestamp_type"),
    "null_as_a_folder": (b"k", good(27, category="__HIVE_DEFAULT_PARTITION__"), "category_partition"),
    "year_1970": (b"k", encode(sale(10, at=datetime(1970, 1, 1, tzinfo=UTC))), "event_time_not_too_old"),
    "year_2262": (b"k", encode(sale(11, at=datetime(2262, 4, 12, tzinfo=UTC))), "event_time_not_in_future"),
    "next_month": (b"k", encode(sale(12, at=NOW + timedelta(days=30))), "event_time_not_in_future"),
    "good_at_the_end": (b"k", good(13), ""),
}


@pytest.fixture
def contract(settings: Settings, topic_name: Topic) -> StreamContract:
    """Sales on one partition that takes messages of 6 MB."""
    sales = load_stream("sales")
    large = {"name": topic_name("poison"), "partitions": 1, "config": {"max.message.bytes": str(6 << 20)}}
    own = sales.model_copy(update={"topic": sales.topic.model_copy(update=large)})
    apply_topics(settings, desired_topics([own]))
    return own


def produce(settings: Settings, topic: str) -> None:
    """The corpus in its order: offsets are positions in it."""
    from confluent_kafka import Producer

    producer = Producer(producer_config(settings) | {"message.max.bytes": 8 << 20, "compression.type": "none"})
    for key, value, _ in CORPUS.values():
        producer.produce(topic, partition=0, key=key, value=value)
    assert producer.flush(60) == 0


def ask(query: str, path: str) -> list[tuple[Any, ...]]:
    with lasting_delta_connection() as duck:
        return duck.execute(query, [path]).fetchall()


def test_every_poison_is_kept_and_judged_and_the_stream_goes_on(settings: Settings, contract: StreamContract) -> None:
    paths = LakePaths.of(settings)
    produce(settings, contract.topic.name)
    began = time.monotonic()
    drain_once(contract, settings)
    assert time.monotonic() - began < 90, "a number of ten characters must not keep Spark busy"
    sent = len(CORPUS) + send(settings, contract.topic.name, [good(14)])
    proof = assert_whole(contract, settings, sent)
    names = list(CORPUS)

    kept = ask('SELECT "offset", key, value FROM delta_scan(?) ORDER BY 1', paths.bronze(contract.name))
    assert [(key, value) for _, key, value in kept[:-1]] == [(key, value) for key, value, _ in CORPUS.values()]

    rejected = ask('SELECT "offset", reasons, value, record FROM delta_scan(?)', paths.quarantine(contract.name))
    reasons = {names[offset]: found[0] for offset, found, _, _ in rejected}
    assert reasons == {name: reason for name, (_, _, reason) in CORPUS.items() if reason}
    assert all(value == CORPUS[names[offset]][1] for offset, _, value, _ in rejected)
    letters = {names[offset]: json.loads(record) for offset, _, _, record in rejected}
    left_out = {name for name, letter in letters.items() if letter["context"]["encoding"] == "left out"}
    assert left_out == {"five_broken_megabytes"}, "a dead letter must fit into the topic"
    assert letters["bad_json"]["original_record"] == '{"order_id": '

    rows = ask("SELECT _offset, store_location, _rescued FROM delta_scan(?)", paths.silver(contract.name))
    valid = {names[offset]: (place, rescued) for offset, place, rescued in rows if offset < len(names)}
    assert set(valid) == {name for name, (_, _, reason) in CORPUS.items() if not reason}
    assert valid["repeated_field"][0] == "Boston", "of two values of one field the last counts"
    assert json.loads(valid["new_field"][1]) == {"loyalty": '{"tier":2}'}
    assert len(json.loads(valid["five_megabytes"][1])["note"]) == FIVE_MEGABYTES
    days = ask("SELECT DISTINCT event_date FROM delta_scan(?)", paths.silver(contract.name))
    assert days == [(NOW.date(),)], "a wild date makes no partition"
    assert proof.quarantined == len(rejected)
