"""Change records in Avro: judged as the same ones in JSON are, key and value each by the schema that wrote it."""

import struct
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.schema.tables import BRONZE_COLUMNS
from lakehouse.transforms.events import judge, valid_rows
from lakehouse_tests.changes import Change, Record, bronze_rows
from lakehouse_tests.connector_avro import CITY, COLUMNS, AvroConverter, as_json, people_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark
JSON = people_of({"name": "people", "partitions": 3})
AVRO = people_of({"name": "people", "partitions": 3, "format": "avro"})
ANNA = Change("c", 7, "Anna", "-12.50", 100)
GONE = Change("d", 7, "Anna", "12.50", 200)
LONG_KEY, WIDE = 8_001, 8_002


def judged(
    spark: "SparkSession", contract: StreamContract, records: list[Record], writers: dict[int, str]
) -> list[dict[str, Any]]:
    bronze = spark.createDataFrame(bronze_rows(records), BRONZE_COLUMNS)
    rows = judge(bronze, contract, ("topic",), writers=writers).drop("key", "value").orderBy("_offset").collect()
    return [row.asDict() for row in rows]


def test_a_change_in_avro_is_judged_as_in_json(spark: "SparkSession") -> None:
    client = SchemaRegistryClient.new_client({"url": "mock://changes"})
    old, new = AvroConverter(client, "people"), AvroConverter(client, "people", COLUMNS | CITY)
    story = [
        ANNA, ANNA._replace(op="r", paid="0.01"), ANNA._replace(op="u", paid=None, lsn=105), GONE,
        Change("tombstone", 7), Change("t", 0, lsn=300), ANNA._replace(op="x"), ANNA._replace(name=None),
        ANNA._replace(name=""),
    ]  # fmt: skip
    both = [(old(change), as_json(change)) for change in story]
    # Of two versions of the schema; what the contract does not know is kept, null or not.
    both += [(new(ANNA, city=city), as_json(ANNA, city=city)) for city in (None, "Rome")]
    both += [(old(GONE, is_told_before=False), as_json(GONE, is_told_before=False))]
    # Keys of other converters: text, a single number in Avro.
    in_text = old(GONE, is_told_before=False)._replace(key=b'{"id": 7}')
    bare = Record(b"\x00" + struct.pack(">I", LONG_KEY) + b"\x0e", None)
    flat = [old.flat(ANNA), old.flat(GONE)]
    good = old(ANNA)
    assert good.value is not None
    framed = b"\x00" + struct.pack(">I", 9_999)
    wide = b"\x00" + struct.pack(">I", WIDE) + b"\x02\x0e" + b"\x04" + (1250).to_bytes(2, "big") + b"\x02c"
    broken = [
        good._replace(value=good.value[: len(good.value) // 2]), good._replace(value=framed + good.value[5:]),
        good._replace(value=b'{"op": "c"}'), Record(framed + b"\x0e", None), Record(good.key, framed[:3]),
    ]  # fmt: skip

    writers = {number: client.get_schema(number).schema_str for number in range(1, 9) if _has(client, number)}
    assert len(writers) == 4, "two of values, one of rows alone, one of keys"
    writers[LONG_KEY] = '"long"'
    # What a converter writes where the source does not say how many digits its decimals have.
    writers[WIDE] = (
        '{"type":"record","name":"E","fields":[{"name":"after","type":["null",{"type":"record","name":"V","fields":['
        '{"name":"id","type":"long"},{"name":"paid","type":{"type":"bytes","logicalType":"decimal","precision":64,'
        '"scale":2}},{"name":"name","type":"string"}]}]},{"name":"op","type":"string"}]}'
    )
    wide = wide[:-2] + b"\x02W" + b"\x02c"
    found = judged(spark, AVRO, [*(a for a, _ in both), in_text, bare, *flat, Record(None, wide), *broken], writers)
    wanted = judged(spark, JSON, [b for _, b in both], {})
    count = len(both)
    assert found[:count] == wanted
    assert {row["_broken"] for row in wanted} == {
        "", "truncate_not_applied", "unknown_op", "name_present,name_not_empty", "name_not_empty"
    }  # fmt: skip
    assert (wanted[0]["paid"], wanted[0]["_broken"], wanted[0]["born"].year) == (Decimal("-12.50"), "", 1970)
    assert wanted[0]["logged"].microsecond == 100_000
    assert wanted[2]["seen"] is None

    # A deleted row is known by its key, whoever wrote it.
    assert [(row["id"], row["_op"], row["_broken"]) for row in found[count - 1 : count + 2]] == [(7, "d", "")] * 3
    assert [(row["_op"], row["_position"], row["paid"]) for row in found[count + 2 : count + 4]] == [
        ("c", [100], Decimal("-12.50")), ("d", [200], None)
    ]  # fmt: skip
    assert (found[count + 4]["id"], found[count + 4]["paid"], found[count + 4]["_broken"]) == (7, Decimal("12.50"), "")
    assert [row["_broken"] for row in found[-len(broken) :]] == [
        "malformed_avro", "unknown_schema", "not_avro", "id_present", "not_avro"
    ]  # fmt: skip


def _has(client: Any, number: int) -> bool:
    from confluent_kafka.schema_registry import SchemaRegistryError

    try:
        client.get_schema(number)
    except SchemaRegistryError:
        return False
    return True


def test_valid_rows_are_chosen_without_parsing_anything_again(spark: "SparkSession", tmp_path: Path) -> None:
    """A condition that is pushed down through the steps before it makes thousands of parses of six."""
    client = SchemaRegistryClient.new_client({"url": "mock://plans"})
    converter = AvroConverter(client, "people")
    spark.createDataFrame(bronze_rows([converter(ANNA)]), BRONZE_COLUMNS).write.parquet(str(tmp_path / "bronze"))
    writers = {number: client.get_schema(number).schema_str for number in (1, 2)}
    judged_rows = judge(spark.read.parquet(str(tmp_path / "bronze")), AVRO, ("topic",), writers=writers)

    def parses(frame: "DataFrame") -> int:
        plan = frame._explain_string(extended=True)
        optimised = plan[plan.index("== Optimized") : plan.index("== Physical")]
        return optimised.count("from_json(") + optimised.count("from_avro(")

    valid = valid_rows(judged_rows, AVRO)
    assert 0 < parses(valid) == parses(judged_rows) < 20
    assert [row["name"] for row in valid.collect()] == ["Anna"]
