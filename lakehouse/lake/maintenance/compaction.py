"""Rewriting small files into larger ones, and files that are mostly deleted rows into clean ones. Rows stay the same.

Spark rewrites the tables that Spark writes: silver has deletion vectors, which delta-rs cannot rewrite. Delta-rs
rewrites `ops/events`. Each statement is one commit of its own, so whatever interrupts the work leaves a whole table.
Here: the rewriting. Not here: which days are worth it (`lake.maintenance.compaction_plan`), removing what was replaced
(`lake.maintenance.vacuum`).
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

from lakehouse.engine.crash import crash_point
from lakehouse.engine.spark import spark_errors
from lakehouse.engine.spark_client import set_all
from lakehouse.errors import BatchConflictError
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.guards.locks import Guard, LockBusyError
from lakehouse.lake.maintenance.compaction_plan import SMALL_BYTES, crowded_days, file_bytes, statements
from lakehouse.lake.maintenance.table_files import DataFile
from lakehouse.quality.rules import date_list

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_FILE_SIZE = "spark.databricks.delta.optimize.maxFileSize"
_CONF = {
    "spark.databricks.delta.optimize.minFileSize": str(SMALL_BYTES),
    # One rewrite at a time: Spark's default of 15 would leave no core for the drains beside it.
    "spark.databricks.delta.optimize.maxThreads": "1",
}


class Rewritten(NamedTuple):
    """Days that were rewritten, and days left for the next time because other writers kept coming first."""

    done: list[str]
    postponed: list[str]


def compact(
    spark: "SparkSession", path: str, column: str, days: dict[str, int], guard: Guard = nullcontext
) -> Rewritten:
    """Put the small files of these days together.

    Args:
        spark: A session.
        path: The table.
        column: Its first partition column, a date; empty when it has none, then the table is rewritten as one.
        days: As `crowded_days` returns them.
        guard: Held during each statement, so that merges wait for it instead of losing their work.
    """
    set_all(spark, _CONF)

    def statement(group: list[str]) -> str:
        spark.conf.set(_FILE_SIZE, str(file_bytes(days[day] for day in group)))
        return f"OPTIMIZE delta.`{path}`{_of_days(column, group)}"

    return _each(spark, days, guard, statement)


def purge(spark: "SparkSession", path: str, column: str, days: dict[str, int], guard: Guard = nullcontext) -> Rewritten:
    """Rewrite the files of these days that have deleted rows, without them; arguments as `compact`."""
    return _each(spark, days, guard, lambda group: f"REORG TABLE delta.`{path}`{_of_days(column, group)} APPLY (PURGE)")


def _of_days(column: str, days: list[str]) -> str:
    return f" WHERE {column} IN ({date_list(days)})" if column else ""


def compact_events(path: str, files: list[DataFile]) -> Rewritten:
    """Put the small files of `ops/events` together and write a checkpoint, so that readers skip the old commits."""
    crowded = crowded_days(files)
    days = list(crowded)
    if not days:
        return Rewritten([], [])
    from deltalake import DeltaTable
    from deltalake.exceptions import CommitFailedError

    try:
        table = DeltaTable(path)
        table.optimize.compact(target_size=file_bytes(crowded.values()))
        table.create_checkpoint()
    except CommitFailedError:
        return Rewritten([], days)
    crash_point("after_compaction")
    return Rewritten(days, [])


def _each(
    spark: "SparkSession", days: dict[str, int], guard: Guard, statement: Callable[[list[str]], str]
) -> Rewritten:
    @again_after_conflict
    def run(group: list[str]) -> None:
        with guard(), spark_errors():
            spark.sql(statement(group)).collect()

    done: list[str] = []
    postponed: list[str] = []
    for group in statements(days):
        try:
            run(group)
        except (BatchConflictError, LockBusyError):
            # Drains go first. The files are as good as before, and there is a next time.
            postponed += group
            continue
        done += group
        crash_point("after_compaction")
    return Rewritten(done, postponed)
