"""How large a Spark cluster should be for an amount of data: executors, partitions, files.

Here: the tables and the arithmetic, without a session. Not here: a cluster's settings (`engine.profiles`),
partitions of a topic (`kafka.topic_plan`), what a stream really carries (`lake.maintenance.load`).
"""

import math
from typing import NamedTuple

from lakehouse.errors import UsageError

PARTITION_MB = 200
"""Size of a partition that an even division aims at; good ones lie between 128 and 256 MB."""

SMALLEST_GOOD_MB, LARGEST_GOOD_MB = 128, 256


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


def even_share(size_bytes: int) -> int:
    """Bytes of each of the partitions that `target_partitions` divides so many bytes into: 200 MB at most."""
    return math.ceil(size_bytes / target_partitions(size_bytes / 1_000_000))


def _require_size(size: float, unit: str) -> None:
    if not size >= 0:
        raise UsageError(f"A size of {size:g} {unit} is not possible.", fix="Give 0 or more.")
