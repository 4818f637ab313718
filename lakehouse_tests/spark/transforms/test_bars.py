"""Bars against a model in plain Python: for ticks in any order, and for bars of bars."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse.transforms.bars import COLUMNS, bars_of_bars, bars_of_ticks

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
Tick = tuple[str, datetime, int, Decimal, int | None]
SCHEMA = "ticker string, at timestamp, seq bigint, price decimal(12,4), size bigint"


def some_ticks(seed: int) -> list[Tick]:
    """Three symbols over an hour; many share a second, some have no size."""
    rng = random.Random(seed)
    return [
        (
            rng.choice("ABC"),
            NOON + timedelta(seconds=rng.randrange(0, 3600, 20)),
            number,
            Decimal(rng.randint(10_000, 12_000)) / 10_000,
            rng.choice([None, 1, 5, 100]),
        )
        for number in range(300)
    ]


def model(ticks: list[Tick], minutes: int) -> set[tuple[Any, ...]]:
    groups: dict[tuple[str, datetime], list[Tick]] = {}
    for tick in ticks:
        since = (tick[1] - NOON) // timedelta(minutes=minutes)
        groups.setdefault((tick[0], NOON + since * timedelta(minutes=minutes)), []).append(tick)
    bars = set()
    for (symbol, start), members in groups.items():
        members.sort(key=lambda tick: (tick[1], tick[2]))
        prices = [tick[3] for tick in members]
        volume = sum(tick[4] or 0 for tick in members)
        bars.add(
            (symbol, start, start + timedelta(minutes=minutes), prices[0], max(prices), min(prices), prices[-1], volume,
             len(members))
        )  # fmt: skip
    return bars


def test_bars_are_those_of_the_model_whatever_the_order(spark: "SparkSession") -> None:
    ticks = some_ticks(1)
    for order in (ticks, ticks[::-1], sorted(ticks, key=lambda tick: tick[3])):
        frame = spark.createDataFrame(order, SCHEMA)
        minute = bars_of_ticks(
            frame, size=timedelta(minutes=1), symbol="ticker", time="at", price="price", volume="size", order="seq"
        )
        assert tuple(minute.columns) == COLUMNS
        quarter = bars_of_bars(minute, size=timedelta(minutes=15))
        assert as_set(minute) == model(ticks, 1)
        assert as_set(quarter) == model(ticks, 15), "bars of bars are the bars of their ticks"


def as_set(frame: Any) -> set[tuple[Any, ...]]:
    rows = [tuple(row) for row in frame.collect()]
    assert len(rows) == len(set(rows))
    return {(row[0], row[1].astimezone(UTC), row[2].astimezone(UTC), *row[3:]) for row in rows}
