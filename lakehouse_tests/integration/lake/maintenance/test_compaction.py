"""Rewriting one table by Spark: lost races, deleted rows, and the table's own kinds of files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lakehouse.errors import BatchConflictError
from lakehouse.lake.ledger import current_version
from lakehouse.lake.maintenance.compaction import compact, purge
from lakehouse.lake.maintenance.compaction_plan import crowded_days, hollow_days
from lakehouse.lake.maintenance.table_files import TableStats, data_files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


@contextmanager
def losing(races: list[bool]) -> Iterator[None]:
    """As when another writer commits first, as often as `races` begins with True."""
    if races and races.pop(0):
        raise BatchConflictError("Another writer committed to the same table first.")
    yield


def test_lost_races_postpone_days_and_deleted_rows_are_purged(spark: "SparkSession", tmp_path: Path) -> None:
    path = str(tmp_path / "table")
    spark.sql(
        f"CREATE TABLE delta.`{path}` (id bigint, day date, kind string) USING delta PARTITIONED BY (day, kind) "
        "TBLPROPERTIES ('delta.enableDeletionVectors' = 'true', 'delta.appendOnly' = 'true')"
    ).collect()
    # A value that is written in another way in the folder's name.
    for n in range(4):
        spark.sql(
            f"INSERT INTO delta.`{path}` SELECT /*+ COALESCE(1) */ id + {n * 10}, DATE'2026-11-01', 'Home & 100%' "
            "FROM range(10)"
        ).collect()
    days = crowded_days(data_files(path))
    assert list(days) == ["2026-11-01"]

    version = current_version(path)
    always = compact(spark, path, "day", days, lambda: losing([True]))
    assert (always.done, always.postponed) == ([], ["2026-11-01"])
    assert current_version(path) == version

    races = [True, True]
    sometimes = compact(spark, path, "day", days, lambda: losing(races))
    assert (sometimes.done, sometimes.postponed, races) == (["2026-11-01"], [], [])
    assert TableStats.of(data_files(path)).files == 1

    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.appendOnly' = 'false')").collect()
    spark.sql(f"DELETE FROM delta.`{path}` WHERE id % 4 = 1").collect()
    files = data_files(path)
    assert (TableStats.of(files).rows, TableStats.of(files).deleted_rows) == (30, 10)
    assert purge(spark, path, "day", hollow_days(files)).done == ["2026-11-01"]
    stats = TableStats.of(data_files(path))
    assert (stats.files, stats.rows, stats.deleted_rows) == (1, 30, 0)
    assert spark.read.format("delta").load(path).where("id % 4 = 1").count() == 0
