"""Simulated markets: prices that wander, the same for the same seed.

Here: ticks. Not here: pacing and sending (`sources.pacing`, `sources.producer`), opening hours (`hours`).
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime

from lakehouse.errors import UsageError
from lakehouse.sources.market.hours import is_open
from lakehouse.sources.market.tick import Tick, is_forex
from lakehouse.sources.sales import Now

# Price in units of the last decimal, number of decimals, typical step from tick to tick as a share of the price.
_MARKETS: dict[str, tuple[int, int, float]] = {
    "BTC/USDT": (6_500_000, 2, 2e-4),
    "ETH/USD": (320_000, 2, 3e-4),
    "EUR/USD": (108_500, 5, 5e-5),
}
SYMBOLS = tuple(_MARKETS)
_VOLUME_DECIMALS = 8


class MarketSimulator:
    """Ticks: trades of crypto, reference rates of currencies while forex is open; ends when every market is closed.

    Args:
        seed: The same seed and times give the same ticks, byte for byte.
        now: Seconds since 1970, UTC: the time of the next tick.
        symbols: Which of `SYMBOLS`.

    Raises:
        UsageError: for another symbol.
    """

    def __init__(self, *, seed: int, now: Now, symbols: tuple[str, ...] = SYMBOLS) -> None:
        unknown = sorted(set(symbols) - set(_MARKETS))
        if unknown or not symbols:
            raise UsageError(
                f"The simulator has no symbol {', '.join(unknown)!r}.", fix=f"It has {', '.join(SYMBOLS)}."
            )
        self._seed = seed
        self._now = now
        self._symbols = symbols
        self._source = random.Random(seed)
        self._units = {symbol: _MARKETS[symbol][0] for symbol in symbols}

    def __iter__(self) -> Iterator[Tick]:
        number = 0
        while True:
            moment = datetime.fromtimestamp(self._now(), UTC)
            number += 1
            # All draws are made for every tick, so that a closed market does not change the others' prices.
            symbol = self._source.choice(self._symbols)
            step, size = self._source.gauss(0, 1), self._source.expovariate(1)
            start, decimals, share = _MARKETS[symbol]
            if not is_open(symbol, moment):
                if not any(is_open(other, moment) for other in self._symbols):
                    return
                continue
            # Drawn back to where it began, so that a long run stays plausible.
            pull = (start - self._units[symbol]) / start * share
            self._units[symbol] = max(1, round(self._units[symbol] * (1 + step * share + pull)))
            yield Tick(
                source="simulator",
                event_type="rate" if is_forex(symbol) else "trade",
                symbol=symbol,
                event_id=f"{self._seed:x}-{number}",
                price=_text(self._units[symbol], decimals),
                volume=None if is_forex(symbol) else _text(max(1, round(size * 10**6)), _VOLUME_DECIMALS),
                event_time=moment,
            )


def _text(units: int, decimals: int) -> str:
    whole, rest = divmod(units, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}"
