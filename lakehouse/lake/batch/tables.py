"""Writing a step's rows: two ways to load, each the same however often and in whatever order windows run.

Here: creating the table and one commit. Not here: which rows (`lake.batch.frames`).
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.contracts.pipeline import PARTITION_COLUMN
from lakehouse.contracts.window import Window
from lakehouse.engine.spark import spark_errors
from lakehouse.engine.spark_client import set_all
from lakehouse.errors import CheckFailedError, SchemaIncompatibleError
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.guards.locks import exclusive, lake_lock
from lakehouse.lake.ledger import current_version
from lakehouse.lake.log.actions import adds_of_partition, rows_of
from lakehouse.lake.log.append import append
from lakehouse.lake.log.columns import log_schema
from lakehouse.lake.log.create import PLAIN_WRITER, create
from lakehouse.lake.log.staging import folder_of, stage_rows, staging_folder
from lakehouse.lake.paths import table_exists
from lakehouse.quality.rules import quote
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LOCK_SECONDS = 900.0
_SOURCE = "merge_source"
_OTHER_TYPE = ("DELTA_FAILED_TO_MERGE_FIELDS", "DELTA_MERGE_INCOMPATIBLE_DATATYPE")


def overwrite_partition(
    rows: "DataFrame", path: str, window: Window, metadata: dict[str, str], settings: Settings
) -> None:
    """Replace the window's rows by these, in one commit; other windows stay, and may be written at the same time.

    Raises:
        SchemaIncompatibleError: a column changed its type.
        BatchConflictError: other writers kept coming first.
        DiskFullError: nothing of it can be seen.
    """
    with spark_errors():
        columns = _columns(rows)
        _create(columns, path, [PARTITION_COLUMN], rows, settings)
    if PARTITION_COLUMN not in rows.columns and _takes(path, columns):
        _adopt(rows, path, window, metadata, settings)
    else:
        with exclusive(_lock(path, settings), _LOCK_SECONDS):
            _overwrite(rows, path, window, metadata)


def rows_of_window(path: str, key: str) -> int:
    """Rows that a window's last run left in a table of `overwrite_partition`; 0 when there are none."""
    version = current_version(path) if table_exists(path) else None
    if version is None:
        return 0
    return sum(rows_of(add) for add in adds_of_partition(Path(path), version, {PARTITION_COLUMN: key}))


@again_after_conflict
def _adopt(rows: "DataFrame", path: str, window: Window, metadata: dict[str, str], settings: Settings) -> None:
    """Write the rows once, as files that one commit of ours puts in the place of those that the window has."""
    table = Path(path)
    with staging_folder(path) as folder:
        stage_rows(rows, folder / folder_of(PARTITION_COLUMN, window.key), [], fetch=False)
        # What a window needs long for is done: the commits of several windows stand in line.
        with exclusive(_lock(path, settings), _LOCK_SECONDS):
            read = current_version(path) or 0
            held = adds_of_partition(table, read, {PARTITION_COLUMN: window.key})
            append(table, folder, read, metadata, stats=rows.columns, instead_of=held)


@again_after_conflict
def _overwrite(rows: "DataFrame", path: str, window: Window, metadata: dict[str, str]) -> None:
    """Let Delta write them, which takes new columns and says what it refuses."""
    with spark_errors(), _same_types(path):
        (
            _stamped(rows, window)
            .write.format("delta")
            .mode("overwrite")
            .option("replaceWhere", f"{PARTITION_COLUMN} = {quote(window.key)}")
            .option("mergeSchema", "true")
            .option("userMetadata", json.dumps(metadata))
            .save(path)
        )


def _takes(path: str, columns: dict[str, str]) -> bool:
    """Does the table have these columns, with these types, and nothing that only Delta's own writer knows?"""
    from deltalake import DeltaTable

    schema = log_schema(columns)
    table = DeltaTable(path, without_files=True)
    if schema is None or table.protocol().min_writer_version > PLAIN_WRITER:
        return False
    held = {field["name"]: field["type"] for field in json.loads(table.schema().to_json())["fields"]}
    return all(held.get(field["name"]) == field["type"] for field in schema["fields"])


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
        _create(_columns(rows), path, [], rows, settings)
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
        set_all(spark, conf)
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


def _columns(rows: "DataFrame") -> dict[str, str]:
    return {**dict(rows.dtypes), PARTITION_COLUMN: "string"}


def _create(columns: dict[str, str], path: str, partitions: list[str], rows: "DataFrame", settings: Settings) -> None:
    """Make the table once: of two makers at once, Delta would tell the second that the folder is not empty."""
    if table_exists(path):
        return
    schema = log_schema(columns)
    with exclusive(_lock(path, settings), _LOCK_SECONDS):
        if schema is not None:
            create(Path(path), schema, partitions, {})
        elif not table_exists(path):
            _create_by_spark(columns, path, partitions, rows.sparkSession)


def _create_by_spark(columns: dict[str, str], path: str, partitions: list[str], spark: "SparkSession") -> None:
    ddl = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
    partitioned = f"PARTITIONED BY ({', '.join(partitions)})" if partitions else ""
    spark.sql(f"CREATE TABLE IF NOT EXISTS delta.`{path}` ({ddl}) USING delta {partitioned}").collect()


def _lock(path: str, settings: Settings) -> Path:
    return lake_lock(settings, f"batch-{path.replace('/', '-')[-120:]}")


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
