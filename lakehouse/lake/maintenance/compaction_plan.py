"""Which days of a table are worth rewriting: many small files, or many deleted rows. Pure: no I/O, no clock.

Here: thresholds and the choice. Not here: reading the files (`lake.maintenance.table_files`), rewriting them
(`lake.maintenance.compaction`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from lakehouse.engine.sizing import SMALLEST_GOOD_MB, even_share
from lakehouse.lake.maintenance.table_files import DataFile

SMALL_BYTES = 32 << 20
"""A file below this is small: opening it costs a reader about as much as reading it."""
LEAST_TARGET_BYTES = SMALLEST_GOOD_MB * 1_000_000
"""What is put together becomes files of this size at least, where there is as much: a row group is as large."""
ENOUGH_SMALL = 4
"""Fewer small files in a partition stay as they are: a reader would not notice, and each rewrite costs disk for a week.
"""
PURGE_SHARE = 0.2
"""Share of a day's rows that must be deleted before its files are rewritten without them; readers skip them cheaply."""
STATEMENT_BYTES = 256 << 20
"""Small files rewritten by one statement, about: what is lost, and done again, when another writer comes first."""


def crowded_days(files: Iterable[DataFile]) -> dict[str, int]:
    """Days with a partition that holds enough small files, oldest first, with the bytes of their small files.

    A day is the value of the first partition column; a table without partitions is one day named "".
    """
    small: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for file in files:
        if file.size < SMALL_BYTES:
            small[file.partition].append(file.size)
    days: dict[str, int] = defaultdict(int)
    for partition, sizes in small.items():
        if len(sizes) >= ENOUGH_SMALL:
            days[_day(partition)] += sum(sizes)
    return dict(sorted(days.items()))


def file_bytes(days: Iterable[int]) -> int:
    """The size of file that days with so many bytes of small files are put together to: even parts of 128 to 200 MB.

    The largest day decides; a file never spans days.
    """
    return max(LEAST_TARGET_BYTES, even_share(max(days)))


def hollow_days(files: Iterable[DataFile]) -> dict[str, int]:
    """Days of whose rows a large share is deleted, oldest first, with the bytes of the files concerned."""
    rows: dict[str, int] = defaultdict(int)
    deleted: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = defaultdict(int)
    for file in files:
        day = _day(file.partition)
        rows[day] += file.rows
        deleted[day] += file.deleted
        sizes[day] += file.size if file.deleted else 0
    return {day: sizes[day] for day in sorted(rows) if deleted[day] > 0 and deleted[day] >= PURGE_SHARE * rows[day]}


def statements(days: dict[str, int]) -> Iterator[list[str]]:
    """The days in groups, each small enough for one statement; a day alone may be larger."""
    group: list[str] = []
    size = 0
    for day, weight in days.items():
        if group and size + weight > STATEMENT_BYTES:
            yield group
            group, size = [], 0
        group.append(day)
        size += weight
    if group:
        yield group


def _day(partition: tuple[str, ...]) -> str:
    return partition[0] if partition else ""
