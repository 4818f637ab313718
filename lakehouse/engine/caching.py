"""Rows that are read several times, kept on the server while a block runs and let go at its end.

Here: the block. Not here: rows that live as long as their DataFrame (`engine.spark.materialised`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@contextmanager
def cached(frame: "DataFrame", columns: list[str]) -> "Iterator[DataFrame]":
    """These columns of the frame, in memory and, where it does not suffice, on disk, until the block ends.

    Not for the source of a MERGE: Delta refuses one that is cached.
    """
    from pyspark import StorageLevel

    kept = frame.select(*columns).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        yield kept
    finally:
        kept.unpersist()
