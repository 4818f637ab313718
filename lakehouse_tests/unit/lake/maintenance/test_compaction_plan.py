"""Which days are rewritten, and in which portions."""

import pytest

from lakehouse.lake.maintenance.compaction_plan import (
    ENOUGH_SMALL,
    PURGE_SHARE,
    SMALL_BYTES,
    STATEMENT_BYTES,
    crowded_days,
    file_bytes,
    hollow_days,
    statements,
)
from lakehouse.lake.maintenance.table_files import DataFile, TableStats


def files(day: str, count: int, *, size: int = 10, category: str = "Books", deleted: int = 0) -> list[DataFile]:
    return [DataFile(f"{day}-{category}-{n}", (day, category), size, 100, deleted) for n in range(count)]


def test_only_days_with_enough_small_files_in_one_partition_are_crowded() -> None:
    found = crowded_days(
        [
            *files("2026-11-03", ENOUGH_SMALL),
            *files("2026-11-01", ENOUGH_SMALL),
            *files("2026-11-01", ENOUGH_SMALL, size=SMALL_BYTES),
            *files("2026-11-02", ENOUGH_SMALL - 1),
            *files("2026-11-02", ENOUGH_SMALL - 1, category="Toys"),
            *files("2026-11-04", ENOUGH_SMALL, size=SMALL_BYTES),
        ]
    )
    assert list(found.items()) == [("2026-11-01", 10 * ENOUGH_SMALL), ("2026-11-03", 10 * ENOUGH_SMALL)]


def test_a_table_without_partitions_is_one_day() -> None:
    assert crowded_days([DataFile(str(n), (), 10, 1) for n in range(ENOUGH_SMALL)]) == {"": 10 * ENOUGH_SMALL}


@pytest.mark.parametrize(
    ("days", "megabytes"), [([1_000], 128), ([150_000_000], 150), ([90_000_000, 500_000_000], 500 / 3), ([10**9], 200)]
)
def test_a_day_is_put_together_to_even_files_of_128_to_200_megabytes(days: list[int], megabytes: float) -> None:
    assert file_bytes(days) == pytest.approx(megabytes * 1_000_000, abs=1)


def test_only_days_with_many_deleted_rows_are_hollow() -> None:
    limit = int(PURGE_SHARE * 100)
    found = hollow_days(
        [
            *files("2026-11-01", 1, deleted=limit),
            *files("2026-11-02", 1, deleted=limit - 1),
            *files("2026-11-03", 1, deleted=2 * limit, size=7),
            *files("2026-11-03", 1, deleted=0, category="Toys"),
            *files("2026-11-04", 1),
        ]
    )
    assert found == {"2026-11-01": 10, "2026-11-03": 7}


def test_statements_take_as_many_days_as_fit() -> None:
    half = STATEMENT_BYTES // 2
    days = {"a": half, "b": half, "c": 1, "d": 3 * half, "e": 1}
    assert list(statements(days)) == [["a", "b"], ["c"], ["d"], ["e"]]
    assert list(statements({})) == []


def test_statistics_count_what_a_reader_opens() -> None:
    found = TableStats.of([*files("2026-11-01", 3, deleted=1), *files("2026-11-02", 1)])
    assert found == TableStats(files=4, bytes=40, rows=397, deleted_rows=3, most_per_partition=3)
    assert TableStats.of([]) == TableStats(0, 0, 0, 0, 0)
