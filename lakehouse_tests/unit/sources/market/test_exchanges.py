"""Messages of exchanges as ticks: recorded ones against a second reading of the files, and what must be refused."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from lakehouse.errors import SourceRefusedError, UsageError
from lakehouse.settings import load_settings
from lakehouse.sources.market.exchanges import coinbase
from lakehouse.sources.market.feeds import open_feed
from lakehouse.sources.market.recording import Recording, paced, parse_pace
from lakehouse.sources.market.tick import decimal_text, from_epoch, split_pair
from lakehouse_tests.conftest import shared_data
from lakehouse_tests.http_server import Reply, Request, serving
from lakehouse_tests.recordings import raw_messages

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
OPENED = "wss://stream.binance.com:9443/stream?streams=a <-> 1633998511.1\n"


@pytest.mark.parametrize("name", ["BINANCE", "BINANCE_FUTURES"])
def test_binance_recordings_as_a_second_reading_finds_them(name: str) -> None:
    path = shared_data(f"market_ws/{name}.ws.1.0.txt.gz")
    ticks = list(Recording(path))
    messages = [message["data"] for message in raw_messages(path)]
    for kind, wanted in (("trade", "aggTrade"), ("bar", "kline"), ("quote", "bookTicker")):
        found = [tick for tick in ticks if tick.event_type == kind]
        there = [m for m in messages if m.get("e", "bookTicker") == wanted]
        assert len(found) == len(there) > 0
        if kind == "trade":
            assert sum(Decimal(t.price) * Decimal(t.volume or 0) for t in found) == sum(
                Decimal(m["p"]) * Decimal(m["q"]) for m in there
            )
        if kind == "quote":
            assert [(t.bid, t.ask, t.bid_size, t.ask_size) for t in found] == [
                (m["b"], m["a"], m["B"], m["A"]) for m in there
            ]
            assert all(
                Decimal(t.price) * 2 == Decimal(m["b"]) + Decimal(m["a"]) for t, m in zip(found, there, strict=True)
            )
            if name == "BINANCE":
                assert all(t.event_time == t.received_at for t in found), "no time of its own"
        if kind == "bar":
            closed = Counter(t.symbol.replace("/", "") for t in found if t.is_closed)
            assert closed == Counter(m["k"]["s"] for m in there if m["k"]["x"])
            assert [t.price for t in found] == [m["k"]["c"] for m in there]
            assert all(t.bar_start and t.bar_start <= t.event_time for t in found)
            assert all((t.event_time - t.bar_start).total_seconds() < 60 for t in found if t.bar_start)


def test_bitstamp_prices_are_taken_from_their_text() -> None:
    path = shared_data("market_ws/BITSTAMP.ws.1.0.txt.gz")
    trades = [message["data"] for message in raw_messages(path) if message.get("event") == "trade"]
    ticks = list(Recording(path))
    assert [(t.event_id, t.price, t.volume) for t in ticks] == [
        (str(m["id"]), m["price_str"], m["amount_str"]) for m in trades
    ]
    assert [t.event_time.timestamp() for t in ticks] == [int(m["microtimestamp"]) / 1e6 for m in trades]


def test_the_pace_is_that_of_the_recording() -> None:
    path = shared_data("market_ws/BITSTAMP.ws.1.0.txt.gz")
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    ticks = list(paced(Recording(path), parse_pace("10x"), clock=lambda: now[0], sleep=sleep))
    length = (ticks[-1].received_at - ticks[0].received_at).total_seconds()  # type: ignore[operator]
    assert sum(slept) == pytest.approx(length / 10)
    assert parse_pace("max") is None
    for wrong in ("0x", "fast", "10"):
        with pytest.raises(UsageError, match="--pace"):
            parse_pace(wrong)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (OPENED + "hello\n", r":2: no line of a recording"),
        (OPENED + '1.5: {"stream":"a@aggTrade"\n', r":2: JSONDecodeError"),
        (OPENED + '1.5: {"stream":"a@aggTrade","data":{"e":"aggTrade","s":"BTCUSDT"}}\n', r":2: KeyError"),
        ("wss://stream.binance.com.evil.test/ <-> 1.5\n", r":1: .* is none of"),
        ("wss://somewhere.test/ <-> 1.5\n", r":1: .* is none of"),
    ],
)
def test_a_wrong_recording_is_refused_with_its_line(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "feed.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=named):
        list(Recording(file))


def test_numbers_pairs_and_times_are_exact_or_refused() -> None:
    assert decimal_text("1e-8") == "0.00000001"
    assert decimal_text("0.10000000") == "0.10000000"
    for wrong in (0.1, "NaN", "abc", None):
        with pytest.raises(SourceRefusedError):
            decimal_text(wrong)
    assert [split_pair(name) for name in ("BTCUSDT", "ethusd", "ETH-USD", "usdteur", "LRCBTC")] == [
        "BTC/USDT", "ETH/USD", "ETH/USD", "USDT/EUR", "LRC/BTC",
    ]  # fmt: skip
    with pytest.raises(SourceRefusedError, match="no known pair"):
        split_pair("ABCXYZ")
    assert from_epoch("1641343699596001", "microseconds").microsecond == 596001
    assert from_epoch("1633998512.0633569", "seconds").microsecond == 63356
    trade = {"product_id": "ETH-USD", "trade_id": 1, "price": "1", "size": "1", "time": "2026-01-01T00:00:00"}
    with pytest.raises(SourceRefusedError, match="no time zone"):
        coinbase(trade, NOW)


BINANCE_ROWS = [
    {
        "a": n,
        "p": f"65000.{n:02d}000000",
        "q": "0.01000000",
        "f": n,
        "l": n,
        "T": 1763467200000 + n,
        "m": True,
        "M": True,
    }
    for n in range(20)
]
COINBASE_ROWS = [
    {
        "trade_id": n,
        "side": "sell",
        "size": "0.5",
        "price": f"3200.{n:02d}",
        "time": f"2026-11-18T12:00:{n:02d}.123456Z",
    }
    for n in range(20)
]


def service(request: Request) -> Reply:
    if request.path == "/api/v3/aggTrades":
        assert request.query["symbol"] == "BTCUSDT"
        first = int(request.query.get("fromId", 5))
        return Reply(BINANCE_ROWS[first : first + 10])
    if request.path == "/products/ETH-USD/trades":
        return Reply(COINBASE_ROWS[::-1])
    if request.path == "/v6/latest/EUR":
        body = b'{"result":"success","base_code":"EUR","time_last_update_unix":1763424151,"rates":{"USD":1.1583000001}}'
        return Reply(body)
    return Reply(status=404)


def test_each_service_gives_what_is_new_oldest_first(tmp_path: Path) -> None:
    settings = load_settings(LAKEHOUSE_HOME=tmp_path)
    with serving(service) as server:
        with open_feed("binance", settings, address=server.url) as feed:
            polls = [[tick.event_id for tick in feed.poll()] for _ in range(3)]
        assert [len(poll) for poll in polls] == [10, 5, 0]
        assert [number for poll in polls for number in poll] == [str(n) for n in range(5, 20)]
        with open_feed("coinbase", settings, address=server.url) as feed:
            first, second = feed.poll(), feed.poll()
        assert [tick.event_id for tick in first] == [str(n) for n in range(20)]
        assert (second, first[3].symbol, first[3].price) == ([], "ETH/USD", "3200.03")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lakehouse.sources.market.feeds.datetime", type("Clock", (), {"now": lambda _: NOW}))
            with open_feed("exchange_rate", settings, address=server.url) as feed:
                (rate,) = feed.poll()
        assert (rate.symbol, rate.price, rate.event_type) == ("EUR/USD", "1.1583000001", "rate")
    with pytest.raises(UsageError, match="no market source"):
        open_feed("kraken", settings)


def test_no_rate_is_asked_for_while_forex_is_closed(tmp_path: Path) -> None:
    sunday = datetime(2026, 11, 22, 12, tzinfo=UTC)
    with serving(service) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("lakehouse.sources.market.feeds.datetime", type("Clock", (), {"now": lambda _: sunday}))
        with open_feed("exchange_rate", load_settings(LAKEHOUSE_HOME=tmp_path), address=server.url) as feed:
            assert feed.poll() == []
        assert server.requests == []
