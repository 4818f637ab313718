"""Making the lake's tables and letting silver follow its contract. Here: DDL. Not here: writing rows."""

import re
from typing import TYPE_CHECKING

from lakehouse.contracts.change import CHANGE_COLUMNS, VERSION_COLUMNS
from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import spark_errors
from lakehouse.errors import SchemaIncompatibleError, SetupError
from lakehouse.lake.conflicts import again_after_conflict
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.transforms.events import spark_type
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
_KEEP_LOG = f"'delta.logRetentionDuration' = 'interval {KEEP_LOG_DAYS} days', 'delta.enableExpiredLogCleanup' = 'false'"
_FORGETS = "delta.setTransactionRetentionDuration"
_INTEGERS = ("int", "bigint")
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")


@again_after_conflict
def ensure_tables(spark: "SparkSession", contract: StreamContract, paths: LakePaths) -> None:
    """Create the stream's tables where they are missing and bring the columns of silver and history up to the contract.

    Raises:
        SchemaIncompatibleError: when the contract changed in a way silver cannot follow by itself.
        SetupError: when a table was told to forget batch numbers.
    """
    for path in (paths.bronze(contract.name), paths.silver(contract.name), paths.quarantine(contract.name)):
        _require_memory(path)
    with spark_errors():
        _create(
            spark,
            paths.bronze(contract.name),
            BRONZE_COLUMNS,
            ["arrival_date"],
            # Statistics on payloads would cost time and copy personal data into the log.
            "'delta.dataSkippingStatsColumns' = 'partition,offset,timestamp,batch', 'delta.appendOnly' = 'true'",
        )
        _create(
            spark,
            paths.quarantine(contract.name),
            QUARANTINE_COLUMNS,
            ["arrival_date"],
            "'delta.dataSkippingStatsColumns' = 'partition,offset,batch'",
        )
        _follow(spark, contract, paths.silver(contract.name), silver_types(contract), contract.partition_columns)
        if contract.keeps_history:
            _require_memory(paths.history(contract.name))
            _follow(spark, contract, paths.history(contract.name), history_types(contract), [])


def _follow(
    spark: "SparkSession", contract: StreamContract, path: str, types: dict[str, str], partitions: list[str]
) -> None:
    """Create a table of these columns, or bring its columns up to them."""
    if table_exists(path):
        _evolve(spark, contract, path, types)
        return
    columns = ", ".join(f"`{name}` {kind}" for name, kind in types.items())
    statistics = f"'delta.dataSkippingStatsColumns' = '{_stats_columns(contract)}'"
    _create(spark, path, columns, partitions, f"'delta.enableDeletionVectors' = 'true', {statistics}")


def silver_types(contract: StreamContract) -> dict[str, str]:
    """Column names and Spark types of the silver table, in order."""
    fields = {field.name: spark_type(field) for field in contract.fields}
    change = CHANGE_COLUMNS if contract.is_cdc else {}
    return {**fields, "event_date": "date", "_rescued": "string", **change, **_PROVENANCE_TYPES}


def history_types(contract: StreamContract) -> dict[str, str]:
    """Column names and Spark types of the history table, in order."""
    return {**silver_types(contract), CHANGE_ID: "string", **VERSION_COLUMNS}


def _stats_columns(contract: StreamContract) -> str:
    """Key and event time, never a field marked as personal, plus the batch for incremental readers."""
    wanted = [*contract.key, contract.event_time]
    personal = {field.name for field in contract.fields if field.pii}
    public = [name for name in dict.fromkeys(wanted) if name not in personal]
    return ",".join([*(name for name in public if name not in contract.partition_by), "_batch"])


def _create(spark: "SparkSession", path: str, columns: str, partitions: list[str], properties: str) -> None:
    if table_exists(path):
        return
    partitioned = f"PARTITIONED BY ({', '.join(partitions)})" if partitions else ""
    spark.sql(
        f"CREATE TABLE IF NOT EXISTS delta.`{path}` ({columns}) USING delta {partitioned} "
        f"TBLPROPERTIES ({properties}, {_KEEP_LOG})"
    ).collect()


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


def _evolve(spark: "SparkSession", contract: StreamContract, path: str, wanted: dict[str, str]) -> None:
    actual = {name: kind.lower() for name, kind in spark.read.format("delta").load(path).dtypes}
    added = {name: kind for name, kind in wanted.items() if name not in actual}
    if added:
        if contract.evolve.add == "stop":
            raise _incompatible(contract, f"has new fields {sorted(added)}, and evolve.add is stop")
        names = ", ".join(f"`{name}` {kind}" for name, kind in added.items())
        spark.sql(f"ALTER TABLE delta.`{path}` ADD COLUMNS ({names})").collect()
    gone = sorted(set(actual) - set(wanted))
    if gone and contract.evolve.drop == "stop":
        raise _incompatible(contract, f"no longer has fields {gone}, and evolve.drop is stop")
    for name, kind in wanted.items():
        if name in actual and actual[name] != kind:
            _widen(spark, contract, path, name, actual[name], kind)


def _widen(spark: "SparkSession", contract: StreamContract, path: str, name: str, old: str, new: str) -> None:
    if not _is_wider(old, new) or contract.evolve.widen == "stop":
        raise _incompatible(contract, f"changes field {name} from {old} to {new}")
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')").collect()
    spark.sql(f"ALTER TABLE delta.`{path}` ALTER COLUMN `{name}` TYPE {new}").collect()


def _is_wider(old: str, new: str) -> bool:
    if (old, new) == _INTEGERS:
        return True
    before, after = _DECIMAL.fullmatch(old), _DECIMAL.fullmatch(new)
    if before is None or after is None:
        return False
    digits = int(after[1]) - int(after[2]) >= int(before[1]) - int(before[2])
    return digits and int(after[2]) >= int(before[2])


def _incompatible(contract: StreamContract, change: str) -> SchemaIncompatibleError:
    return SchemaIncompatibleError(
        f"The contract of stream {contract.name} {change}; silver cannot follow that by itself.",
        fix="Undo the change, or see docs/runbooks/SCHEMA_INCOMPATIBLE.md.",
    )
