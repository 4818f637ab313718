from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.engine.embedded.spark import server_conf
from lakehouse.engine.profiles import spark_defaults
from lakehouse.engine.sizing import (
    LARGEST_GOOD_MB,
    PARTITION_MB,
    SMALLEST_GOOD_MB,
    even_share,
    executors_for,
    target_partitions,
)
from lakehouse.errors import UsageError
from lakehouse.settings import PROJECT_ROOT


@pytest.mark.parametrize(
    ("size_gb", "expected"),
    [
        (0, (2, 4, (4, 8), (2, 4))),
        (9.99, (2, 4, (4, 8), (2, 4))),
        (10, (10, 20, (8, 16), (4, 8))),
        (99.9, (10, 20, (8, 16), (4, 8))),
        (100, (50, None, (16, 32), (4, 8))),
    ],
)
def test_executors_by_size(size_gb: float, expected: tuple[object, ...]) -> None:
    assert executors_for(size_gb) == expected


@given(st.floats(min_value=0, max_value=1e9))
def test_partitions_hold_about_200_mb_and_none_is_too_large(size_mb: float) -> None:
    number = target_partitions(size_mb)
    assert size_mb / number <= PARTITION_MB < LARGEST_GOOD_MB
    if size_mb >= 2 * SMALLEST_GOOD_MB:
        assert size_mb / number >= PARTITION_MB / 2


@given(st.integers(min_value=0, max_value=10**15))
def test_an_even_share_fills_its_partitions_and_leaves_no_small_rest(size: int) -> None:
    share, number = even_share(size), target_partitions(size / 1_000_000)
    assert share <= PARTITION_MB * 1_000_000
    assert (number - 1) * share < size <= number * share or size == 0


@pytest.mark.parametrize("size", [-1, float("nan")])
def test_no_negative_size(size: float) -> None:
    with pytest.raises(UsageError):
        executors_for(size)
    with pytest.raises(UsageError):
        target_partitions(size)


def test_the_cluster_file_is_what_the_command_prints() -> None:
    assert (PROJECT_ROOT / "infra" / "spark" / "spark-defaults.conf").read_text() == spark_defaults()


def test_streaming_settings_as_named(tmp_path: Path) -> None:
    named = {
        "spark.streaming.stopGracefullyOnShutdown": "true",
        "spark.streaming.kafka.maxRatePerPartition": "1000",
        "spark.sql.streaming.metricsEnabled": "true",
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.adaptive.coalescePartitions.enabled": "true",
    }
    for found in (server_conf(tmp_path, 1), dict(line.split() for line in spark_defaults().splitlines())):
        assert found.items() >= named.items()
    assert "spark.eventLog.enabled" not in server_conf(tmp_path, 1)


def test_a_clusters_settings_as_named() -> None:
    settings = dict(line.split() for line in spark_defaults().splitlines())
    assert (
        settings.items()
        >= {
            "spark.app.name": "BatchETL",
            "spark.executor.memory": "8g",
            "spark.executor.cores": "4",
            "spark.driver.memory": "4g",
            "spark.sql.shuffle.partitions": "200",
            "spark.sql.adaptive.enabled": "true",
            "spark.sql.adaptive.coalescePartitions.enabled": "true",
            "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
            "spark.sql.autoBroadcastJoinThreshold": "100m",
            "spark.sql.join.preferSortMergeJoin": "true",
            "spark.dynamicAllocation.enabled": "true",
        }.items()
    )
