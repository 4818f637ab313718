"""How Spark makes files on a local disk."""

from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from lakehouse.engine.embedded import stack as embedded
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def test_no_process_is_started_for_a_file_or_a_folder(stack: Settings, spark: "SparkSession", tmp_path: Path) -> None:
    server = psutil.Process(next(entry.pid for entry in embedded.status(stack) if entry.name == "spark"))
    before = server.cpu_times()
    spark.range(40).selectExpr("id", "id AS part").write.partitionBy("part").parquet(str(tmp_path / "rows"))
    after = server.cpu_times()
    assert len(list((tmp_path / "rows").rglob("*.parquet"))) == 40
    # What processes took that it started and that have ended: a `chmod` a millisecond or two, here 120 of them.
    taken = after.children_user + after.children_system - before.children_user - before.children_system
    assert taken < 0.05
