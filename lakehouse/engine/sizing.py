"""How large a Spark cluster should be for an amount of data: executors, partitions, the settings of a cluster.

Here: the tables and the arithmetic, without a session. Not here: partitions of a topic (`kafka.topic_plan`), what a
stream really carries (`lake.maintenance.load`).
"""

import math
from typing import NamedTuple

from lakehouse.errors import UsageError

PARTITION_MB = 200
"""Size of a partition that an even division aims at; good ones lie between 128 and 256 MB."""

SMALLEST_GOOD_MB, LARGEST_GOOD_MB = 128, 256

CLUSTER_CONF = {
    "spark.app.name": "BatchETL",
    "spark.driver.memory": "4g",
    "spark.executor.memory": "8g",
    "spark.executor.cores": "4",
    "spark.dynamicAllocation.enabled": "true",
    # Without an external shuffle service the executors that hold shuffle files are kept instead.
    "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    "spark.dynamicAllocation.minExecutors": "2",
    "spark.dynamicAllocation.maxExecutors": "20",
    "spark.sql.shuffle.partitions": "200",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.coalescePartitions.enabled": "true",
    "spark.sql.autoBroadcastJoinThreshold": "100m",
    "spark.sql.join.preferSortMergeJoin": "true",
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
}
"""Settings of a cluster's Spark Connect server; the embedded one is sized for two cores (`engine.embedded.spark`)."""


class Executors(NamedTuple):
    """Executors for an amount of data, each pair `(at least, at most)`; no `most` executors: open."""

    least: int
    most: int | None
    memory_gb: tuple[int, int]
    cores: tuple[int, int]


def executors_for(size_gb: float) -> Executors:
    """Executors for a job over so many gigabytes.

    Raises:
        UsageError: for a negative size.
    """
    _require_size(size_gb, "GB")
    if size_gb < 10:
        return Executors(2, 4, (4, 8), (2, 4))
    if size_gb < 100:
        return Executors(10, 20, (8, 16), (4, 8))
    return Executors(50, None, (16, 32), (4, 8))


def target_partitions(size_mb: float) -> int:
    """Partitions of about 200 MB for data of this size; at least one.

    Raises:
        UsageError: for a negative size.
    """
    _require_size(size_mb, "MB")
    return max(1, math.ceil(size_mb / PARTITION_MB))


def spark_defaults() -> str:
    """`CLUSTER_CONF` as the text of a `spark-defaults.conf`."""
    width = max(map(len, CLUSTER_CONF)) + 2
    return "".join(f"{key:<{width}}{value}\n" for key, value in CLUSTER_CONF.items())


def _require_size(size: float, unit: str) -> None:
    if not size >= 0:
        raise UsageError(f"A size of {size:g} {unit} is not possible.", fix="Give 0 or more.")
