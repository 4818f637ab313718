"""Column schemas and column lineage of the tables, as Dagster metadata rendered from the contract.

Here: metadata only. Not here: the schemas that Spark writes with (`lakehouse.contracts`, `lakehouse.lake`).
"""

import dagster as dg

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec

_BRONZE = (
    ("topic_id", "string", "The topic's id; a topic that is deleted and made anew gets another."),
    ("partition", "int", "Kafka partition."),
    ("offset", "bigint", "Position in the partition; with topic_id and partition the row's identity."),
    ("timestamp", "timestamp", "When the broker appended the record (UTC)."),
    ("timestamp_type", "int", "1: the broker's append time; 0: the producer's."),
    ("key", "binary", "The record's key, as received."),
    ("value", "binary", "The record's value, as received."),
    ("headers", "array<struct<key:string,value:binary>>", "The record's headers."),
    ("batch", "bigint", "Micro-batch that committed the row; grows by one."),
    ("_ingested_at", "timestamp", "When the micro-batch was written (UTC)."),
    ("_source_file", "string", "File that the event came from, when it came from one."),
    ("arrival_date", "date", "UTC day of the timestamp; the table is partitioned by it."),
)
_BRONZE_NULLABLE = {"key", "value", "headers", "_source_file"}
_SILVER_OWN = (
    ("event_date", "date", "UTC day of the event time."),
    ("_rescued", "string", "Keys of the event that the contract does not know, as JSON."),
    ("_topic_id", "string", "Topic id of the bronze row that won."),
    ("_generation", "int", "Generation of the topic; later generations win."),
    ("_partition", "int", "Kafka partition of the bronze row."),
    ("_offset", "bigint", "Kafka offset of the bronze row."),
    ("_batch", "bigint", "Bronze micro-batch that the row came from."),
    ("_ingested_at", "timestamp", "When the row was merged (UTC)."),
)
_CHANGE = (
    ("_op", "string", "What the source did: c, u, d, t for a truncate, or r for a row of a snapshot."),
    ("_deleted", "boolean", "The source deleted the row; only its key is kept. Readers leave such rows out."),
    ("_changed_at", "timestamp", "When the source committed the change (UTC)."),
    ("_position", "array<bigint>", "Place of the change in the source's order; -1 where the record does not say."),
)
_SILVER_FROM_BRONZE = {"_topic_id": "topic_id", "_partition": "partition", "_offset": "offset", "_batch": "batch"}


def bronze_schema() -> dg.TableSchema:
    """Columns of every bronze table."""
    return dg.TableSchema(columns=[_own_column(*column, _BRONZE_NULLABLE) for column in _BRONZE])


def silver_schema(contract: StreamContract) -> dg.TableSchema:
    """The contract's fields in order, then the columns that silver adds."""
    fields = [_field_column(contract, field) for field in contract.fields]
    own: list[tuple[str, str, str]] = [*_SILVER_OWN, *(_CHANGE if contract.is_cdc else ())]
    return dg.TableSchema(columns=[*fields, *(_own_column(*column, {"_rescued"}) for column in own)])


def silver_lineage(contract: StreamContract, bronze: dg.AssetKey) -> dg.TableColumnLineage:
    """Which bronze columns each silver column comes from."""

    def from_bronze(column: str) -> list[dg.TableColumnDep]:
        return [dg.TableColumnDep(asset_key=bronze, column_name=column)]

    deps = {field.name: from_bronze("value") for field in contract.fields}
    deps |= {"event_date": from_bronze("value"), "_rescued": from_bronze("value")}
    deps |= {column: from_bronze(source) for column, source in _SILVER_FROM_BRONZE.items()}
    deps |= {column: from_bronze("value") for column, *_ in _CHANGE if contract.is_cdc}
    return dg.TableColumnLineage(deps)


def _field_column(contract: StreamContract, field: FieldSpec) -> dg.TableColumn:
    notes = ["primary key"] if field.name in contract.key else []
    notes += [
        f"{rule.name} ({rule.severity}): {rule.sql}"
        for rule in contract.rules
        if rule.name.startswith(f"{field.name}_")
    ]
    return dg.TableColumn(
        name=field.name,
        type=field.type,
        # Descriptions are shown as Markdown, where <NAME> would be taken for a tag and vanish.
        description=field.description.replace("<", "\\<"),
        constraints=dg.TableColumnConstraints(
            nullable=field.nullable, unique=contract.unique == [field.name], other=notes
        ),
        tags={"pii": "true"} if field.pii else {},
    )


def _own_column(name: str, kind: str, description: str, nullable: set[str]) -> dg.TableColumn:
    return dg.TableColumn(
        name=name,
        type=kind,
        description=description,
        constraints=dg.TableColumnConstraints(nullable=name in nullable),
    )
