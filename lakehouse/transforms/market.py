"""Bars of market events for the pipelines `market_crypto` and `market_forex`.

Here: which columns of market events make a bar. Not here: bars themselves (`transforms.bars`).
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from lakehouse.contracts.window import Window
from lakehouse.transforms.bars import bars_of_ticks

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def bars(inputs: "dict[str, DataFrame]", window: Window) -> "DataFrame":
    """One bar per symbol for the window, out of the step `ticks`."""
    length: timedelta = window.end - window.start
    found = bars_of_ticks(
        inputs["ticks"],
        size=length,
        symbol="symbol",
        time="event_time",
        price="price",
        volume="volume",
        order="tie_break",
    )
    return found.selectExpr(
        "symbol", "window_start", "window_end", "open", "high", "low", "close",
        "cast(volume AS decimal(38,10)) AS volume", "tick_count",
    )  # fmt: skip
