"""Making the lake's tables and letting silver follow its contract. Here: their columns. Not here: writing rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.contracts.change import CHANGE_COLUMNS, VERSION_COLUMNS
from lakehouse.contracts.evolution import schema_of
from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import spark_errors
from lakehouse.errors import SetupError
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.log.columns import columns_of, log_schema
from lakehouse.lake.log.create import create
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.schema.accepted import PROPERTY, Accepted
from lakehouse.lake.schema.evolve import follow
from lakehouse.transforms.fields import spark_type
from lakehouse.transforms.versions import CHANGE_ID

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BRONZE_COLUMNS = (
    "topic_id string, partition int, offset bigint, timestamp timestamp, timestamp_type int, key binary, value binary, "
    "headers array<struct<key: string, value: binary>>, batch bigint, _ingested_at timestamp, _source_file string, "
    "arrival_date date"
)
QUARANTINE_COLUMNS = (
    "topic_id string, partition int, offset bigint, timestamp timestamp, key binary, value binary, "
    "reasons array<string>, error_type string, error_message string, record string, batch bigint, "
    "_ingested_at timestamp, arrival_date date"
)
_PROVENANCE_TYPES = {
    "_topic_id": "string",
    "_generation": "int",
    "_partition": "int",
    "_offset": "bigint",
    "_batch": "bigint",
    "_ingested_at": "timestamp",
}
KEEP_LOG_DAYS = 90
# Old commits are kept long enough for time travel and for the ledger to be read far back. Delta itself would go by age
# alone and could drop the last batch of a stream that rested for longer; maintenance knows which commits are needed.
_KEEP_LOG = {
    "delta.logRetentionDuration": f"interval {KEEP_LOG_DAYS} days",
    "delta.enableExpiredLogCleanup": "false",
}
STATS_COLUMNS = "delta.dataSkippingStatsColumns"
_FORGETS = "delta.setTransactionRetentionDuration"


@again_after_conflict
def ensure_tables(spark: "SparkSession", contract: StreamContract, paths: LakePaths) -> None:
    """Create the stream's tables where they are missing and bring the columns of silver and history up to the contract.

    The caller holds the lock of silver's writers.

    Raises:
        SchemaIncompatibleError: when the contract changed in a way silver cannot follow by itself.
        SetupError: when a table was told to forget batch numbers.
    """
    for path in (paths.bronze(contract.name), paths.silver(contract.name), paths.quarantine(contract.name)):
        _require_memory(path)
    create_table(
        paths.bronze(contract.name),
        columns_of(BRONZE_COLUMNS),
        ["arrival_date"],
        # Statistics on payloads would cost time and copy personal data into the log.
        {STATS_COLUMNS: "partition,offset,timestamp,batch", "delta.appendOnly": "true"},
    )
    create_table(
        paths.quarantine(contract.name),
        columns_of(QUARANTINE_COLUMNS),
        ["arrival_date"],
        {STATS_COLUMNS: "partition,offset,batch"},
    )
    with spark_errors():
        _ensure(spark, contract, paths.silver(contract.name), silver_types(contract), contract.partition_columns)
        if contract.keeps_history:
            _require_memory(paths.history(contract.name))
            _ensure(spark, contract, paths.history(contract.name), history_types(contract), [])


def _ensure(
    spark: "SparkSession", contract: StreamContract, path: str, types: dict[str, str], partitions: list[str]
) -> None:
    """Create a table of these columns, or bring its columns up to the contract."""
    if table_exists(path):
        # Which changes begin a version depends on all tracked fields: a history is made anew as a whole.
        follow(spark, contract, path, types, anew=CHANGE_ID in types)
        return
    properties = {
        "delta.enableDeletionVectors": "true",
        STATS_COLUMNS: ",".join(stats_columns(contract)),
        PROPERTY: Accepted(version=1, shape=schema_of(contract)).model_dump_json(),
    }
    create_table(path, types, partitions, properties)


def silver_types(contract: StreamContract) -> dict[str, str]:
    """Column names and Spark types of the silver table, in order."""
    fields = {field.name: spark_type(field) for field in contract.fields}
    change = CHANGE_COLUMNS if contract.is_cdc else {}
    return {**fields, "event_date": "date", "_rescued": "string", **change, **_PROVENANCE_TYPES}


def history_types(contract: StreamContract) -> dict[str, str]:
    """Column names and Spark types of the history table, in order."""
    return {**silver_types(contract), CHANGE_ID: "string", **VERSION_COLUMNS}


def stats_columns(contract: StreamContract) -> list[str]:
    """Columns of silver that the log has statistics on, so that readers skip files: key, event time, batch.

    Never a field marked as personal: it would stand in the log as well.
    """
    wanted = [*contract.key, contract.event_time]
    personal = {field.name for field in contract.fields if field.pii}
    public = [name for name in dict.fromkeys(wanted) if name not in personal]
    return [*(name for name in public if name not in contract.partition_by), "_batch"]


def create_table(path: str, columns: Mapping[str, str], partitions: list[str], properties: Mapping[str, str]) -> None:
    """Make a Delta table that keeps its log for long, unless there is one. `columns` are names and Spark's types.

    Raises:
        DiskFullError, SetupError: there is no place for it.
    """
    schema = log_schema(columns)
    if schema is None:
        raise AssertionError(f"{path}: a column of {dict(columns)} has a type that no table of the lake's own has.")
    create(Path(path), schema, partitions, {**properties, **_KEEP_LOG})


def _require_memory(path: str) -> None:
    """Refuse a table that forgets transaction numbers: a writer with a stale batch would be let in again."""
    if not table_exists(path):
        return
    from deltalake import DeltaTable

    value = DeltaTable(path, without_files=True).metadata().configuration.get(_FORGETS)
    if value is not None:
        raise SetupError(
            f"Table {path} has {_FORGETS} = {value!r}.",
            why="Delta would forget which batches were committed, and a repeated batch would be written twice.",
            fix=f"In Spark: ALTER TABLE delta.`{path}` UNSET TBLPROPERTIES ('{_FORGETS}')",
        )
