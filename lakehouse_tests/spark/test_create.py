"""A table that we make is the one that Spark's CREATE TABLE makes, and Spark goes on with it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse.contracts.load import load_streams
from lakehouse.lake.log.columns import columns_of, log_schema
from lakehouse.lake.log.create import create
from lakehouse.lake.schema.tables import BRONZE_COLUMNS, QUARANTINE_COLUMNS, history_types
from lakehouse.quality.rules import quote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark
TYPES = (
    "string, int, bigint, smallint, tinyint, float, double, boolean, binary, date, timestamp, decimal(38,6), "
    "array<decimal(5,2)>, array<array<string>>, struct<a:int,b:array<struct<c:date,d:decimal(10,0)>>>"
)
TABLES: dict[str, tuple[dict[str, str], list[str], dict[str, str]]] = {
    "types": ({f"column_{n}": kind for n, kind in enumerate(TYPES.split(", "))}, ["column_9"], {}),
    "bronze": (columns_of(BRONZE_COLUMNS), ["arrival_date"], {"delta.appendOnly": "true"}),
    "quarantine": (columns_of(QUARANTINE_COLUMNS), [], {"delta.logRetentionDuration": "interval 90 days"}),
}
TABLES |= {
    name: (history_types(contract), contract.partition_columns, {"delta.enableDeletionVectors": "true", "own": "it's"})
    for name, contract in load_streams().items()
}


def opening(table: Path) -> dict[str, Any]:
    """What the first commit says, without ids and times."""
    lines = (table / "_delta_log" / "00000000000000000000.json").read_text(encoding="utf-8").splitlines()
    actions = {name: action for line in lines for name, action in json.loads(line).items()}
    metadata = actions["metaData"]
    protocol = {name: sorted(v) if isinstance(v, list) else v for name, v in actions["protocol"].items()}
    kept = {name: metadata[name] for name in ("format", "partitionColumns", "configuration")}
    return {"protocol": protocol, "schema": json.loads(metadata["schemaString"]), **kept}


@pytest.mark.parametrize("name", TABLES)
def test_it_says_what_spark_says(spark: "SparkSession", tmp_path: Path, name: str) -> None:
    columns, partitions, properties = TABLES[name]
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    schema = log_schema(columns)
    assert schema is not None
    create(ours, schema, partitions, properties)
    ddl = ", ".join(f"`{column}` {kind}" for column, kind in columns.items())
    partitioned = f"PARTITIONED BY ({', '.join(f'`{column}`' for column in partitions)})" if partitions else ""
    listed = ", ".join(f"'{key}' = {quote(value)}" for key, value in properties.items())
    told = f"TBLPROPERTIES ({listed})" if listed else ""
    spark.sql(f"CREATE TABLE delta.`{theirs}` ({ddl}) USING delta {partitioned} {told}").collect()
    assert opening(ours) == opening(theirs)
    before = spark.read.format("delta").load(str(ours)).dtypes
    assert dict(before) == columns
    create(ours, schema, partitions, properties)
    assert len(list((ours / "_delta_log").glob("*.json"))) == 1, "there is one already"


def test_spark_writes_into_it(spark: "SparkSession", tmp_path: Path) -> None:
    table = tmp_path / "t"
    schema = log_schema({"n": "bigint", "day": "date"})
    assert schema is not None
    create(table, schema, ["day"], {"delta.enableDeletionVectors": "true"})
    rows = spark.sql("SELECT id AS n, date'2026-01-01' AS day FROM range(10)")
    rows.coalesce(1).write.format("delta").mode("append").save(str(table))
    spark.sql(f"DELETE FROM delta.`{table}` WHERE n = 3").collect()
    read = spark.read.format("delta").load(str(table))
    assert sorted(row["n"] for row in read.collect()) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("kind", ["timestamp_ntz", "variant", "void", "map<string,int>", "array<timestamp_ntz>"])
def test_a_type_that_needs_more_of_its_readers_is_left_to_spark(kind: str) -> None:
    assert log_schema({"a": "int", "b": kind}) is None
    assert log_schema({"a": "int", "b c": "int"}) is None
