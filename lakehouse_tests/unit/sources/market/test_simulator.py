"""Simulated markets and opening hours."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts.load import load_stream
from lakehouse.errors import UsageError
from lakehouse.sources.market.hours import is_open, next_opening, was_open
from lakehouse.sources.market.simulator import SYMBOLS, MarketSimulator
from lakehouse.sources.market.tick import Tick

START = datetime(2024, 1, 1, 0, 0, 30, tzinfo=UTC)
WEDNESDAY = datetime(2026, 11, 18, 12, tzinfo=UTC)


def ticks(seed: int, start: datetime, count: int, **options: object) -> list[Tick]:
    seconds = iter(range(10**9))
    source = MarketSimulator(seed=seed, now=lambda: start.timestamp() + next(seconds), **options)  # type: ignore[arg-type]
    return list(islice(source, count))


def test_the_same_seed_gives_the_same_bytes_and_plausible_prices() -> None:
    first, again, other = (ticks(seed, WEDNESDAY, 3_000) for seed in (7, 7, 8))
    assert [tick.message() for tick in first] == [tick.message() for tick in again]
    assert [tick.price for tick in first] != [tick.price for tick in other]
    assert {tick.symbol for tick in first} == set(SYMBOLS) == {"BTC/USDT", "ETH/USD", "EUR/USD"}
    assert len({tick.event_id for tick in first}) == 3_000
    for symbol, low, high in (("BTC/USDT", 50_000, 80_000), ("ETH/USD", 2_000, 5_000), ("EUR/USD", 1.0, 1.2)):
        prices = [float(tick.price) for tick in first if tick.symbol == symbol]
        assert low < min(prices) < max(prices) < high
    assert all(key == tick.symbol for tick in first for key, _ in [tick.message()])


def test_currencies_rest_at_the_weekend_and_others_keep_their_prices() -> None:
    saturday = datetime(2026, 11, 21, 12, tzinfo=UTC)
    found = ticks(7, saturday, 500)
    assert {tick.symbol for tick in found} == {"BTC/USDT", "ETH/USD"}
    assert ticks(7, saturday, 5, symbols=("EUR/USD",)) == [], "it ends when every market is closed"
    week = [tick.price for tick in ticks(7, WEDNESDAY, 700) if tick.symbol == "BTC/USDT"]
    assert [tick.price for tick in found if tick.symbol == "BTC/USDT"][:100] == week[:100]


def test_an_unknown_symbol_is_named() -> None:
    with pytest.raises(UsageError, match="DOGE/USD"):
        ticks(1, WEDNESDAY, 1, symbols=("DOGE/USD",))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-07-17T20:59:59Z", True),  # Friday, New York on daylight time
        ("2026-07-17T21:00:00Z", False),
        ("2026-07-19T20:59:59Z", False),
        ("2026-07-19T21:00:00Z", True),
        ("2026-11-20T21:59:59Z", True),  # Friday, standard time: an hour later in UTC
        ("2026-11-20T22:00:00Z", False),
        ("2026-11-22T22:00:00Z", True),
        ("2026-03-08T20:59:59Z", False),  # the Sunday on which daylight time begins
        ("2026-03-08T21:00:00Z", True),
        ("2026-12-25T12:00:00Z", False),
        ("2027-01-01T12:00:00Z", False),
    ],
)
def test_forex_hours_go_with_new_york_and_crypto_never_rests(moment: str, expected: bool) -> None:
    at = datetime.fromisoformat(moment)
    assert is_open("EUR/USD", at) is expected
    assert is_open("BTC/USDT", at)


@given(st.integers(0, 1_500_000).map(lambda minutes: START + timedelta(minutes=minutes)), st.integers(1, 3000))
def test_a_window_was_open_when_any_minute_of_it_was(start: datetime, minutes: int) -> None:
    end = start + timedelta(minutes=minutes)

    def moments() -> Iterator[datetime]:
        moment = start
        while moment < end:
            yield moment
            moment += timedelta(minutes=1)

    # Hours begin on full hours, so a minute's steps meet every change but the one inside the last minute.
    by_minute = any(is_open("EUR/USD", moment) for moment in moments())
    assert was_open("EUR/USD", start, end) or not by_minute
    if was_open("EUR/USD", start, end) and not by_minute:
        assert is_open("EUR/USD", end - timedelta(microseconds=1))
    opening = next_opening("EUR/USD", start)
    assert is_open("EUR/USD", opening)
    assert opening == start or not is_open("EUR/USD", opening - timedelta(seconds=1))


def test_the_contract_knows_the_simulators_fields() -> None:
    import json

    contract = load_stream("market_data")
    for tick in ticks(7, WEDNESDAY, 50):
        assert set(json.loads(tick.message()[1])) <= set(contract.field_names)
