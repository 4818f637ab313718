"""OHLCV bars: open, high, low, close and volume of a symbol in each window of time, from ticks or from shorter bars.

Here: pure functions. Not here: which stream they come from, where bars are kept. Open and close are decided by time and
then by `order`, so that equal times give the same bar whatever the order of arrival.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COLUMNS = ("symbol", "window_start", "window_end", "open", "high", "low", "close", "volume", "tick_count")


def bars_of_ticks(
    ticks: "DataFrame", *, size: timedelta, symbol: str, time: str, price: str, volume: str, order: str
) -> "DataFrame":
    """Bars of single trades or quotes.

    Args:
        ticks: One row per tick, without repeats.
        size: Length of a bar; bars start at multiples of it, counted from 1970-01-01 UTC.
        symbol: Column of the instrument.
        time: Column of type timestamp.
        price: Column of the price.
        volume: Column of the traded quantity; null counts as 0.
        order: Column that decides among ticks of the same time, such as a sequence number.

    Returns:
        `COLUMNS`: one row per symbol and window in which something was traded.
    """
    when = f"struct(`{time}`, `{order}`)"
    return _bars(
        ticks,
        size=size,
        symbol=symbol,
        time=time,
        measures={
            "open": f"min_by(`{price}`, {when})",
            "high": f"max(`{price}`)",
            "low": f"min(`{price}`)",
            "close": f"max_by(`{price}`, {when})",
            "volume": f"sum(coalesce(`{volume}`, 0))",
            "tick_count": "count(*)",
        },
    )


def bars_of_bars(bars: "DataFrame", *, size: timedelta) -> "DataFrame":
    """Longer bars of shorter ones.

    Args:
        bars: Rows in the shape of `COLUMNS`, one per symbol and window.
        size: Length of the longer bars: a multiple of the shorter ones'.

    Returns:
        The same columns; the bars that the ticks themselves would have given.
    """
    return _bars(
        bars,
        size=size,
        symbol="symbol",
        time="window_start",
        measures={
            "open": "min_by(open, window_start)",
            "high": "max(high)",
            "low": "min(low)",
            "close": "max_by(close, window_start)",
            "volume": "sum(volume)",
            "tick_count": "sum(tick_count)",
        },
    )


def _bars(rows: "DataFrame", *, size: timedelta, symbol: str, time: str, measures: dict[str, str]) -> "DataFrame":
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    window = F.window(F.col(time).cast("timestamp"), f"{int(size.total_seconds())} seconds")
    grouped = rows.groupBy(F.col(symbol).alias("symbol"), window.alias("_window"))
    found = grouped.agg(*(F.expr(sql).alias(name) for name, sql in measures.items()))
    return found.selectExpr("symbol", "_window.start AS window_start", "_window.end AS window_end", *measures)
