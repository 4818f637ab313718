"""Generated sales keep the contract; broken ones break what they say; shares and seeds are exact."""

import json
import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.contracts.load import load_stream
from lakehouse.errors import UsageError
from lakehouse.sources.catalogue import DAYS_BETWEEN_CHANGES, catalogue
from lakehouse.sources.event_check import broken_promises
from lakehouse.sources.sales import SalesGenerator, spread_over
from lakehouse.sources.sales_broken import BROKEN_KINDS

SAMPLE_OF_THE_FIRST_SYSTEM = {
    "order_id": "123e4567-e89b-12d3-a456-426614174000",
    "store_id": "STORE_NEW_YORK_MIDTOWN",
    "product_id": "ELECTRONICS_CHARGER_001",
    "product_name": "Charger",
    "category": "Electronics",
    "quantity": 1,
    "unit_price": 25.99,
    "total_price": 25.99,
    "sale_timestamp": "2024-01-15T10:30:00Z",
    "customer_id": "CUST_12345",
    "payment_method": "Credit Card",
    "discount": 0.1,
    "store_location": "New York",
}


def _events(count: int, **options: float) -> list[bytes]:
    return [event.value for event in islice(SalesGenerator(seed=7, **options), count)]  # type: ignore[arg-type]


def test_events_keep_every_rule_of_the_contract() -> None:
    assert broken_promises(load_stream("sales"), _events(500)) == [[]] * 500


def test_the_sample_with_its_gross_total_is_valid() -> None:
    assert broken_promises(load_stream("sales"), [json.dumps(SAMPLE_OF_THE_FIRST_SYSTEM).encode()]) == [[]]


def test_events_have_the_contracts_thirteen_keys_in_order_and_about_370_bytes() -> None:
    values = _events(500)
    names = load_stream("sales").field_names
    assert all(list(json.loads(value)) == names for value in values)
    assert 340 < sum(map(len, values)) / 500 < 420


def test_totals_are_exact_to_the_cent() -> None:
    for value in _events(500):
        event = json.loads(value, parse_float=Decimal)
        assert event["total_price"] == event["quantity"] * event["unit_price"]


@pytest.mark.parametrize("kind", BROKEN_KINDS)
def test_each_kind_breaks_what_it_claims(kind: str) -> None:
    values = [BROKEN_KINDS[kind].damage(good) for good in _events(200)]
    assert all(BROKEN_KINDS[kind].breaks in broken for broken in broken_promises(load_stream("sales"), values))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 100), st.integers(1, 400), st.integers(0, 2**32))
def test_the_bad_share_is_met_exactly(percent: int, count: int, seed: int) -> None:
    generator = SalesGenerator(seed=seed, bad_share=percent / 100)
    bad = sum(event.kind in BROKEN_KINDS for event in islice(generator, count))
    assert bad == generator.made.bad_by_kind.total() == count * percent // 100


def test_every_kind_occurs() -> None:
    generator = SalesGenerator(seed=1, bad_share=0.02)
    kinds = {event.kind for event in islice(generator, 1000)}
    assert set(BROKEN_KINDS) <= kinds


def test_broken_events_do_not_take_the_turn_of_duplicates() -> None:
    generator = SalesGenerator(seed=1, bad_share=0.01, duplicate_share=0.001)
    for _ in range(10_000):
        next(generator)
    assert (generator.made.bad_by_kind.total(), generator.made.duplicates) == (100, 9)


def test_duplicates_repeat_an_earlier_event_byte_for_byte() -> None:
    generator = SalesGenerator(seed=1, duplicate_share=0.1)
    seen: set[bytes] = set()
    for event in islice(generator, 2000):
        assert (event.value in seen) == (event.kind == "duplicate")
        seen.add(event.value)
    assert generator.made.duplicates == 2000 - len(seen) > 190


def test_a_seed_with_a_time_range_gives_the_same_bytes() -> None:
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 4, tzinfo=UTC)

    def made(seed: int) -> list[bytes]:
        generator = SalesGenerator(seed=seed, bad_share=0.05, now=spread_over(first, last, 300))
        return [event.value for event in islice(generator, 300)]

    assert made(1) == made(1)
    assert made(1) != made(2)
    days = Counter(re.findall(rb'"sale_timestamp":"(\d{4}-\d\d-\d\d)', b"".join(made(1))))
    assert set(days) == {b"2026-01-01", b"2026-01-02", b"2026-01-03"}
    assert min(days.values()) > 85


def test_order_ids_are_unique_version_4_uuids_and_the_message_key() -> None:
    events = list(islice(SalesGenerator(seed=3), 5000))
    assert len({event.key for event in events}) == 5000
    assert all(json.loads(event.value)["order_id"] == event.key for event in events[:100])
    assert all(re.match(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-", event.key) for event in events)


def test_distributions_are_weighted() -> None:
    events = [json.loads(value) for value in _events(5000)]
    categories = Counter(event["category"] for event in events)
    assert categories.most_common(1)[0][0] == "Grocery"
    assert categories["Grocery"] > 5 * categories["Garden"] > 0
    assert len(categories) == 9
    payments = Counter(event["payment_method"] for event in events)
    assert payments["Credit Card"] > payments["Debit Card"] > payments["Gift Card"] > 0
    assert 0.6 < sum(event["discount"] == 0 for event in events) / 5000 < 0.75
    customers = Counter(event["customer_id"] for event in events)
    assert customers.most_common(1)[0][1] > 3


def test_the_catalogue_changes_slowly_in_price_and_name() -> None:
    day = 20_000
    today, tomorrow = catalogue(day), catalogue(day + 1)
    assert today == catalogue(day)
    changed = [pair for pair in zip(today, tomorrow, strict=True) if pair[0] != pair[1]]
    assert 0 < len(changed) < len(today) / (DAYS_BETWEEN_CHANGES / 2)
    later = catalogue(day + 4 * DAYS_BETWEEN_CHANGES)
    assert any(old.name != new.name for old, new in zip(today, later, strict=True))
    assert any(old.price != new.price for old, new in zip(today, later, strict=True))
    assert [product.product_id for product in today] == [product.product_id for product in later]


@pytest.mark.parametrize(
    "options", [{"bad_share": -0.1}, {"bad_share": 1.1}, {"bad_share": 0.6, "duplicate_share": 0.6}]
)
def test_impossible_shares_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="-share"):
        SalesGenerator(seed=1, **options)  # type: ignore[arg-type]
