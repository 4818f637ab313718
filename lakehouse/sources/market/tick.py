"""What every market source gives: a tick, with prices as decimal text, and how it is written as an event.

Here: the event's form, symbols, times. Not here: any exchange's own form (`binance`, `coinbase`, …).
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from lakehouse.errors import SourceRefusedError
from lakehouse.sources.producer import Message
from lakehouse.sources.raw_json import dump_json

EventType = Literal["trade", "quote", "rate", "bar"]
# Currencies that prices are quoted in, as exchanges write them at the end of a pair's name.
QUOTES = (
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "DAI", "BTC", "ETH", "BNB", "EUR", "USD", "GBP", "JPY", "CHF", "AUD",
    "TRY", "BRL", "RUB",
)  # fmt: skip
FIAT = {"EUR", "USD", "GBP", "JPY", "CHF", "AUD", "CAD", "NZD", "SEK", "NOK", "TRY", "BRL", "RUB"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Tick:
    """One event of a market. Prices and sizes are decimal text, never binary fractions; times are UTC.

    Attributes:
        source: Who says so: binance, coinbase, simulator, …
        event_type: `trade` (a deal), `quote` (best bid and ask; price is the middle), `rate` (a reference rate), `bar`
            (open, high, low, close of an interval; sent again and again until `is_closed`).
        symbol: BASE/QUOTE.
        event_id: What tells this event from others of the same source, type and symbol.
        price: Of one BASE in QUOTE.
        volume: In BASE; None where the source has none.
        event_time: When it happened.
        received_at: When it was recorded or asked for.
    """

    source: str
    event_type: EventType
    symbol: str
    event_id: str
    price: str
    event_time: datetime
    volume: str | None = None
    received_at: datetime | None = None
    bid: str | None = None
    bid_size: str | None = None
    ask: str | None = None
    ask_size: str | None = None
    open: str | None = None
    high: str | None = None
    low: str | None = None
    bar_start: datetime | None = None
    bar_interval: str | None = None
    is_closed: bool | None = None

    def message(self) -> Message:
        """The Kafka message: keyed by symbol, so that one symbol's events stay in order; absent values are left out."""
        event = {name: _written(value) for name, value in asdict(self).items() if value is not None}
        return self.symbol, dump_json(event)


def split_pair(name: str) -> str:
    """`btcusdt` or `ETH-USD` as BASE/QUOTE.

    Raises:
        SourceRefusedError: when the quote currency is none of `QUOTES`.
    """
    text = name.upper().replace("-", "/")
    if "/" in text:
        return text
    for quote in QUOTES:
        if text.endswith(quote) and len(text) > len(quote):
            return f"{text.removesuffix(quote)}/{quote}"
    raise SourceRefusedError(f"{name!r} is no known pair.", fix="Add its quote currency to sources/market/tick.py.")


def decimal_text(value: Any) -> str:
    """A number as plain decimal text without an exponent.

    Raises:
        SourceRefusedError: for what is no number, or a binary fraction.
    """
    if isinstance(value, float) or not isinstance(value, str | int | Decimal):
        raise SourceRefusedError(f"{value!r} is no decimal number.")
    try:
        number = Decimal(str(value))
    except ArithmeticError as error:
        raise SourceRefusedError(f"{value!r} is no decimal number.") from error
    if not number.is_finite():
        raise SourceRefusedError(f"{value!r} is no decimal number.")
    return f"{number:f}"


def middle(bid: str, ask: str) -> str:
    """The price between the best bid and the best ask."""
    return decimal_text((Decimal(bid) + Decimal(ask)) / 2)


def from_epoch(value: Any, unit: Literal["seconds", "milliseconds", "microseconds"]) -> datetime:
    """A count since 1970 as a moment; exact, because whole microseconds are counted.

    Raises:
        SourceRefusedError: for what is no number.
    """
    per_unit = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}[unit]
    return _EPOCH + timedelta(microseconds=int(Decimal(decimal_text(value)) * per_unit))


def is_forex(symbol: str) -> bool:
    """Both sides are state currencies."""
    base, _, quote = symbol.partition("/")
    return base in FIAT and quote in FIAT


def _written(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
