"""Dimension joins: every event once, and the dimension sent to every task whatever Spark thinks of its size."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from lakehouse.contracts.pipeline import TransformStep
from lakehouse.contracts.pipelines import load_pipeline
from lakehouse.contracts.window import window_of
from lakehouse.lake.batch.frames import Frames
from lakehouse.settings import Settings
from lakehouse.sources.batch import shop
from lakehouse.transforms.joins import with_dimension

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark
_THRESHOLD = "spark.sql.autoBroadcastJoinThreshold"


@pytest.fixture
def nothing_is_small(spark: "SparkSession") -> "Iterator[SparkSession]":
    """A session that broadcasts nothing of its own accord: only a hint does."""
    spark.conf.set(_THRESHOLD, "-1")
    yield spark
    spark.conf.unset(_THRESHOLD)


def test_a_dimension_join_keeps_each_event_once_and_is_a_broadcast(nothing_is_small: "SparkSession") -> None:
    spark = nothing_is_small
    frame = spark.createDataFrame([(str(n), f"U{n % 3}") for n in range(9)], "id string, user string")
    dimension = spark.createDataFrame(
        [("U0", "buyer", 3), ("U1", "guest", None), ("U1", "guest", None), ("U9", "buyer", 1)],
        "user string, segment string, orders int",
    )
    joined = with_dimension(frame, dimension, on="user", unknown={"segment": "'unknown'", "orders": "0"})
    found = Counter((row["user"], row["segment"], row["orders"]) for row in joined.collect())
    assert found == {("U0", "buyer", 3): 3, ("U1", "guest", 0): 3, ("U2", "unknown", 0): 3}
    assert joins_of(joined) == ["BroadcastHashJoin"]


class _Given(Frames):
    """Steps that read frames instead of tables."""

    frames: "dict[str, DataFrame]"

    def read(self, name: str) -> "DataFrame":
        return self.frames[name]


def test_the_batch_pipelines_dimensions_are_broadcast(settings: Settings, nothing_is_small: "SparkSession") -> None:
    pipeline = load_pipeline("orders_star")
    window = window_of("daily", "2026-01-15", pipeline.start)
    steps = _Given("orders_star", window, settings, nothing_is_small)
    steps.frames = {
        f"extract_{name}": nothing_is_small.createDataFrame(list(getattr(shop, name)(window, {}, settings)))
        for name in ("orders", "customers", "products")
    }
    _, join = pipeline.step("join_data")
    assert isinstance(join, TransformStep)
    joined = steps.transform(join)
    assert joins_of(joined) == ["BroadcastHashJoin"] * 2
    assert joined.count() == 300


def joins_of(frame: "DataFrame") -> list[str]:
    """The kinds of join in the physical plan."""
    words = frame._explain_string().replace("(", " ").split()
    return [word for word in words if word.endswith("Join")]
