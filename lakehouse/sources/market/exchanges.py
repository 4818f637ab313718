"""The messages of Binance, Coinbase, Bitstamp and of an exchange-rate service, each as a tick.

Here: pure functions from one parsed message to a tick, or None for messages that hold no price. Not here: where
messages come from (`feeds` asks services, `recording` reads files).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from lakehouse.errors import SourceRefusedError
from lakehouse.sources.market.tick import Tick, decimal_text, from_epoch, middle, split_pair

Message = Mapping[str, Any]
Parse = Callable[[Any, datetime], Tick | None]
"""(message, when it was received) → tick, or None when it holds no price."""


def binance(message: Message, received_at: datetime, *, source: str = "binance") -> Tick | None:
    """A message of Binance's combined streams: aggTrade, bookTicker, kline; order-book changes hold no price.

    The spot bookTicker names neither its type nor a time: the stream's name tells the one, the receive time is the
    other.
    """
    stream, data = str(message.get("stream", "")), message.get("data")
    if not isinstance(data, Mapping):
        return None
    kind = data.get("e") or stream.partition("@")[2]
    if kind == "aggTrade":
        return Tick(
            source=source,
            event_type="trade",
            symbol=split_pair(data["s"]),
            event_id=str(data["a"]),
            price=decimal_text(data["p"]),
            volume=decimal_text(data["q"]),
            event_time=from_epoch(data["T"], "milliseconds"),
            received_at=received_at,
        )
    if kind == "bookTicker":
        bid, ask = decimal_text(data["b"]), decimal_text(data["a"])
        return Tick(
            source=source,
            event_type="quote",
            symbol=split_pair(data["s"]),
            event_id=str(data["u"]),
            price=middle(bid, ask),
            event_time=from_epoch(data["T"], "milliseconds") if "T" in data else received_at,
            received_at=received_at,
            bid=bid,
            bid_size=decimal_text(data["B"]),
            ask=ask,
            ask_size=decimal_text(data["A"]),
        )
    return _kline(data, received_at, source) if kind == "kline" else None


def binance_futures(message: Message, received_at: datetime) -> Tick | None:
    """As `binance`, from the futures market: another market with its own numbers."""
    return binance(message, received_at, source="binance_futures")


def _kline(data: Message, received_at: datetime, source: str) -> Tick:
    bar = data["k"]
    closes = from_epoch(bar["T"], "milliseconds")
    return Tick(
        source=source,
        event_type="bar",
        symbol=split_pair(bar["s"]),
        event_id=f"{bar['i']}/{bar['t']}",
        price=decimal_text(bar["c"]),
        volume=decimal_text(bar["v"]),
        # Sent again with each change: later ones win. Within the bar, so that the closing one stays on the bar's day.
        event_time=min(from_epoch(data["E"], "milliseconds"), closes),
        received_at=received_at,
        open=decimal_text(bar["o"]),
        high=decimal_text(bar["h"]),
        low=decimal_text(bar["l"]),
        bar_start=from_epoch(bar["t"], "milliseconds"),
        bar_interval=str(bar["i"]),
        is_closed=bool(bar["x"]),
    )


def coinbase(message: Message, received_at: datetime) -> Tick | None:
    """A match of Coinbase's feed, or a row of its list of trades with `product_id` added."""
    if message.get("type", "match") not in {"match", "last_match"}:
        return None
    return Tick(
        source="coinbase",
        event_type="trade",
        symbol=split_pair(message["product_id"]),
        event_id=str(message["trade_id"]),
        price=decimal_text(message["price"]),
        volume=decimal_text(message["size"]),
        event_time=_iso(message["time"]),
        received_at=received_at,
    )


def bitstamp(message: Message, received_at: datetime) -> Tick | None:
    """A trade of Bitstamp's feed; its numbers stand there twice, as fractions and as text."""
    if message.get("event") != "trade":
        return None
    data = message["data"]
    return Tick(
        source="bitstamp",
        event_type="trade",
        symbol=split_pair(str(message["channel"]).rpartition("_")[2]),
        event_id=str(data["id"]),
        price=decimal_text(data["price_str"]),
        volume=decimal_text(data["amount_str"]),
        event_time=from_epoch(data["microtimestamp"], "microseconds"),
        received_at=received_at,
    )


def exchange_rates(message: Message, received_at: datetime, wanted: list[str]) -> list[Tick]:
    """The wanted pairs out of one answer with all rates of a base currency.

    Raises:
        SourceRefusedError: when the answer is no success or lacks a rate.
    """
    if message.get("result") != "success":
        raise SourceRefusedError(f"The exchange-rate service answers {message.get('result')!r}.")
    moment = message["time_last_update_unix"]
    ticks = []
    for symbol in wanted:
        base, _, quote = symbol.partition("/")
        if base != message["base_code"] or quote not in message["rates"]:
            raise SourceRefusedError(f"The exchange-rate service has no rate for {symbol}.")
        ticks.append(
            Tick(
                source="exchange_rate",
                event_type="rate",
                symbol=symbol,
                event_id=str(moment),
                price=decimal_text(message["rates"][quote]),
                event_time=from_epoch(moment, "seconds"),
                received_at=received_at,
            )
        )
    return ticks


def _iso(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SourceRefusedError(f"{text!r} is no time.") from error
    if moment.tzinfo is None:
        raise SourceRefusedError(f"{text!r} names no time zone.")
    return moment
