"""Live market services asked over HTTP: Binance, Coinbase, an exchange-rate service, behind one interface.

Here: which question gives which ticks. Not here: HTTP (`sources.http`), the messages' forms (`exchanges`).
"""

from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, Self

from lakehouse.errors import SourceRefusedError, UsageError
from lakehouse.settings import Settings
from lakehouse.sources.http import HttpClient
from lakehouse.sources.market import exchanges
from lakehouse.sources.market.hours import is_open
from lakehouse.sources.market.tick import Tick

ADDRESSES = {
    "binance": "https://api.binance.com",
    "coinbase": "https://api.exchange.coinbase.com",
    "exchange_rate": "https://open.er-api.com",
}
DEFAULT_SYMBOLS = {"binance": ("BTC/USDT",), "coinbase": ("ETH/USD",), "exchange_rate": ("EUR/USD",)}
_MOST = 1_000


class MarketFeed(Protocol):
    """A market service: each call of `poll` gives what is new since the one before, oldest first."""

    def poll(self) -> list[Tick]:
        """Ask once.

        Raises:
            CircuitOpenError, SourceUnavailableError, SourceRefusedError: as `HttpClient.get`.
        """
        ...


class _Feed:
    def __init__(self, client: HttpClient, symbols: tuple[str, ...]) -> None:
        self._client = client
        self._symbols = symbols

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self._client.close()


class BinanceFeed(_Feed):
    """Trades of Binance. The first question gets the newest ones, the next go on after the last that was seen."""

    def __init__(self, client: HttpClient, symbols: tuple[str, ...]) -> None:
        super().__init__(client, symbols)
        self._last: dict[str, int] = {}

    def poll(self) -> list[Tick]:
        """Ask once for each symbol."""
        ticks = []
        for symbol in self._symbols:
            name = symbol.replace("/", "")
            query: dict[str, Any] = {"symbol": name, "limit": _MOST}
            if symbol in self._last:
                query["fromId"] = self._last[symbol] + 1
            now = datetime.now(UTC)
            rows = _rows(self._client.get("api/v3/aggTrades", query).payload, "Binance")
            for row in rows:
                message = {"stream": "", "data": {**row, "e": "aggTrade", "s": name}}
                ticks.append(_tick(exchanges.binance(message, now)))
                self._last[symbol] = int(row["a"])
        return ticks


class CoinbaseFeed(_Feed):
    """Trades of Coinbase, which lists the newest first."""

    def __init__(self, client: HttpClient, symbols: tuple[str, ...]) -> None:
        super().__init__(client, symbols)
        self._last: dict[str, int] = {}

    def poll(self) -> list[Tick]:
        """Ask once for each symbol."""
        ticks = []
        for symbol in self._symbols:
            name = symbol.replace("/", "-")
            now = datetime.now(UTC)
            rows = _rows(self._client.get(f"products/{name}/trades", {"limit": _MOST}).payload, "Coinbase")
            fresh = [row for row in rows if int(row["trade_id"]) > self._last.get(symbol, -1)]
            for row in sorted(fresh, key=lambda row: int(row["trade_id"])):
                ticks.append(_tick(exchanges.coinbase({**row, "product_id": name}, now)))
                self._last[symbol] = int(row["trade_id"])
        return ticks


class ExchangeRateFeed(_Feed):
    """Reference rates; none are asked for while forex is closed."""

    def poll(self) -> list[Tick]:
        """Ask once for each base currency."""
        now = datetime.now(UTC)
        bases: dict[str, list[str]] = {}
        for symbol in self._symbols:
            if is_open(symbol, now):
                bases.setdefault(symbol.partition("/")[0], []).append(symbol)
        ticks = []
        for base, symbols in bases.items():
            ticks += exchanges.exchange_rates(self._client.get(f"v6/latest/{base}").payload, now, symbols)
        return ticks


_FEEDS: dict[str, type[BinanceFeed | CoinbaseFeed | ExchangeRateFeed]] = {
    "binance": BinanceFeed,
    "coinbase": CoinbaseFeed,
    "exchange_rate": ExchangeRateFeed,
}


def open_feed(
    name: str, settings: Settings, *, symbols: tuple[str, ...] = (), address: str | None = None, **options: Any
) -> BinanceFeed | CoinbaseFeed | ExchangeRateFeed:
    """The feed of that name; `address` names another host than the service's own, `options` go to its `HttpClient`.

    Raises:
        UsageError: when there is none; names those that there are.
    """
    if name not in _FEEDS:
        raise UsageError(f"There is no market source {name!r}.", fix=f"Choose simulator, {', '.join(_FEEDS)}.")
    return _FEEDS[name](HttpClient(settings, address or ADDRESSES[name], **options), symbols or DEFAULT_SYMBOLS[name])


def _rows(payload: Any, who: str) -> list[dict[str, Any]]:
    if not isinstance(payload, list) or not all(isinstance(row, dict) for row in payload):
        raise SourceRefusedError(f"{who} answers no list of trades.")
    return payload


def _tick(tick: Tick | None) -> Tick:
    if tick is None:
        raise SourceRefusedError("A trade without a price.")
    return tick
