"""A bucketed table of Spark's catalogue: rows of one key lie in one file, in order, so that joins need no shuffle.

Here: writing it, saying it again to another server. Not here: which rows (a pipeline's SQL). Delta has no buckets, so
the files are plain Parquet: each run writes a folder of its own, and the one before it stays for those who read it.
"""

import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.types import NAME
from lakehouse.engine.storage import storage_errors
from lakehouse.errors import SourceMissingError, UsageError
from lakehouse.lake.batch.files import replace
from lakehouse.lake.batch.run import StepContext
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_DECLARATION = "table.sql"
_KEPT_RUNS = 2


def save_as_table(context: StepContext) -> dict[str, Any]:
    """The input as table `table` in `buckets` buckets of the column `by`, each of them sorted by it (options).

    Raises:
        UsageError: an option names no table, no column of the input, or no number of buckets.
    """
    rows = context.read(context.inputs[0])
    table, by, buckets = str(context.options["table"]), str(context.options["by"]), context.options["buckets"]
    if not re.match(NAME, table) or by not in rows.columns or not isinstance(buckets, int) or buckets < 1:
        raise UsageError(
            f"Pipeline {context.pipeline.name}: no table {table!r} in {buckets!r} buckets by {by!r} can be made.",
            fix=f"`table`: small letters, digits, _; `buckets`: from 1; `by`: one of {', '.join(rows.columns)}.",
        )
    home = _home(context.settings, table)
    made = home / f"run={time.time_ns()}"
    # Shuffled by the column as buckets are: each task has one bucket, and writes one file.
    sorted_rows = rows.repartition(buckets, by).write.bucketBy(buckets, by).sortBy(by)
    sorted_rows.format("parquet").mode("overwrite").option("path", str(made)).saveAsTable(table)
    declaration = rows.sparkSession.sql(f"SHOW CREATE TABLE {table}").collect()[0][0]
    with storage_errors():
        replace(home / _DECLARATION, str(declaration).encode())
        for old in sorted(home.glob("run=*"))[:-_KEPT_RUNS]:
            shutil.rmtree(old, ignore_errors=True)
    return {"path": str(made), "rows": rows.count(), "buckets": buckets, "files": len(list(made.glob("*.parquet")))}


def declare(spark: "SparkSession", settings: Settings, table: str) -> None:
    """Make the table known to a Spark server that was started after it was written, or to another one.

    Spark without a metastore forgets its tables when it ends; their files stay.

    Raises:
        SourceMissingError: no pipeline has written such a table.
    """
    said = _home(settings, table) / _DECLARATION
    if not said.is_file():
        raise SourceMissingError(f"There is no bucketed table {table} in this lake yet.", why=f"{said} is not there.")
    spark.sql(f"DROP TABLE IF EXISTS {table}")
    spark.sql(said.read_text(encoding="utf-8"))


def _home(settings: Settings, table: str) -> Path:
    return LakePaths.of(settings).bucketed(table)
