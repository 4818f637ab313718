"""Writing a step's rows: two ways to load, each the same however often and in whatever order windows run.

Here: creating the table and one commit. Not here: which rows (`lake.batch.frames`).
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.contracts.pipeline import PARTITION_COLUMN
from lakehouse.contracts.window import Window
from lakehouse.engine.spark import spark_errors
from lakehouse.errors import CheckFailedError, SchemaIncompatibleError
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.guards.locks import exclusive, lake_lock
from lakehouse.lake.paths import table_exists
from lakehouse.quality.rules import quote
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_LOCK_SECONDS = 900.0
_SOURCE = "merge_source"
_OTHER_TYPE = ("DELTA_FAILED_TO_MERGE_FIELDS", "DELTA_MERGE_INCOMPATIBLE_DATATYPE")


@again_after_conflict
def overwrite_partition(
    rows: "DataFrame", path: str, window: Window, metadata: dict[str, str], settings: Settings
) -> None:
    """Replace the window's rows by these, in one commit; other windows stay, and may be written at the same time.

    Raises:
        SchemaIncompatibleError: a column changed its type.
        BatchConflictError: other writers kept coming first.
    """
    with spark_errors(), _same_types(path):
        _create(rows, path, f"PARTITIONED BY ({PARTITION_COLUMN})", settings)
        (
            _stamped(rows, window)
            .write.format("delta")
            .mode("overwrite")
            .option("replaceWhere", f"{PARTITION_COLUMN} = {quote(window.key)}")
            .option("mergeSchema", "true")
            .option("userMetadata", json.dumps(metadata))
            .save(path)
        )


def merge(
    rows: "DataFrame", path: str, window: Window, key: list[str], metadata: dict[str, str], settings: Settings
) -> None:
    """Upsert rows by key. A row of a later window stays, so that the order in which windows run does not matter.

    A merge deletes nothing: a key that its window no longer has keeps the row that was loaded first.

    Raises:
        CheckFailedError: two rows of the window have the same key.
        SchemaIncompatibleError: a column changed its type.
    """
    names = ", ".join(f"`{name}`" for name in key)
    with spark_errors():
        twice = rows.groupBy(*key).count().where("count > 1").limit(1).collect()
    if twice:
        raise CheckFailedError(
            f"{path}: window {window.key} has several rows of one key ({names}), for example {twice[0].asDict()}.",
            why="It would be left to chance which of them stays.",
            fix="Make the rows unique in a transform step, or add columns to `key`.",
        )
    # Merges of one table touch the same files: waiting costs less than losing the race and merging again.
    with spark_errors():
        _create(rows, path, "", settings)
    with exclusive(_lock(path, settings), _LOCK_SECONDS):
        _merge(rows, path, window, key, metadata)


@again_after_conflict
def _merge(rows: "DataFrame", path: str, window: Window, key: list[str], metadata: dict[str, str]) -> None:
    spark = rows.sparkSession
    conf = {
        "spark.databricks.delta.commitInfo.userMetadata": json.dumps(metadata),
        "spark.databricks.delta.schema.autoMerge.enabled": "true",
        "spark.databricks.delta.merge.materializeSource": "none",
    }
    on = " AND ".join(f"t.`{name}` <=> s.`{name}`" for name in key)
    with spark_errors(), _same_types(path):
        for name, value in conf.items():
            spark.conf.set(name, value)
        try:
            _stamped(rows, window).createOrReplaceTempView(_SOURCE)
            spark.sql(
                f"MERGE INTO delta.`{path}` t USING {_SOURCE} s ON {on} "
                f"WHEN MATCHED AND s.{PARTITION_COLUMN} >= t.{PARTITION_COLUMN} THEN UPDATE SET * "
                "WHEN NOT MATCHED THEN INSERT *"
            ).collect()
        finally:
            for name in conf:
                spark.conf.unset(name)


def _stamped(rows: "DataFrame", window: Window) -> "DataFrame":
    return rows.selectExpr("*", f"{quote(window.key)} AS {PARTITION_COLUMN}")


def _create(rows: "DataFrame", path: str, partitioned: str, settings: Settings) -> None:
    """Make the table once: of two makers at once, Delta would tell the second that the folder is not empty."""
    if table_exists(path):
        return
    with exclusive(_lock(path, settings), _LOCK_SECONDS):
        if not table_exists(path):
            _make(rows, path, partitioned)


def _lock(path: str, settings: Settings) -> Path:
    return lake_lock(settings, f"batch-{path.replace('/', '-')[-120:]}")


def _make(rows: "DataFrame", path: str, partitioned: str) -> None:
    columns = ", ".join(f"`{name}` {kind}" for name, kind in rows.dtypes)
    rows.sparkSession.sql(
        f"CREATE TABLE IF NOT EXISTS delta.`{path}` ({columns}, {PARTITION_COLUMN} string) USING delta {partitioned}"
    ).collect()


class _same_types:  # noqa: N801 - reads as a statement
    """Turns Delta's refusal of another column type into an error that says what to do."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and any(mark in str(error) for mark in _OTHER_TYPE):
            raise SchemaIncompatibleError(
                f"{self._path}: a column has another type than before.",
                why=str(error).splitlines()[0][:300],
                fix="Cast it in the pipeline's YAML, or give the step a new name.",
            ) from error
