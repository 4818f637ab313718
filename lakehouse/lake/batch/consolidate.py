"""Consolidating micro-batches: the small files of one day of a stream's tables are put together.

Here: choosing the files. Not here: the rewriting (`lake.maintenance.compaction`), the nightly maintenance of everything
(`lake.maintenance.upkeep`).
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from lakehouse.engine.spark import connect
from lakehouse.lake.batch.run import StepContext
from lakehouse.lake.guards.locks import Guard, exclusive, silver_lock
from lakehouse.lake.maintenance.compaction import compact
from lakehouse.lake.maintenance.compaction_plan import crowded_days
from lakehouse.lake.maintenance.table_files import data_files
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.settings import Settings

_LOCK_SECONDS = 60.0


def consolidate(context: StepContext) -> dict[str, Any]:
    """Compact bronze and silver of the window's day where small files are many. Option `streams`: their names."""
    paths = LakePaths.of(context.settings)
    day = context.window.day.isoformat()
    before = after = 0
    spark = connect(context.settings.spark_remote)
    try:
        for stream in context.options["streams"]:
            for path, column, guard in (
                (paths.bronze(stream), "arrival_date", nullcontext),
                (paths.silver(stream), "event_date", _silver_guard(context.settings, stream)),
            ):
                if not table_exists(path):
                    continue
                files = [file for file in data_files(path) if file.partition[:1] == (day,)]
                crowded = crowded_days(files)
                before += len(files)
                if crowded:
                    compact(spark, path, column, crowded, guard)
                    files = [file for file in data_files(path) if file.partition[:1] == (day,)]
                after += len(files)
    finally:
        spark.stop()
    return {"files_before": before, "files_after": after}


def _silver_guard(settings: Settings, stream: str) -> Guard:
    def guard() -> AbstractContextManager[None]:
        return exclusive(silver_lock(settings, stream), _LOCK_SECONDS)

    return guard
