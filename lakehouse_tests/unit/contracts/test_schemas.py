"""One contract, every rendering: they agree with each other and with the requirements."""

from typing import Any

from lakehouse.contracts import schemas
from lakehouse.contracts.load import load_stream, parse_contract
from lakehouse.contracts.model import StreamContract
from lakehouse_tests.unit.contracts.test_load import GOOD, PATH

SALES_FIELDS = [
    "order_id",
    "store_id",
    "product_id",
    "product_name",
    "category",
    "quantity",
    "unit_price",
    "total_price",
    "sale_timestamp",
    "customer_id",
    "payment_method",
    "discount",
    "store_location",
]


def _contract(field: str) -> StreamContract:
    lines = GOOD.replace("  rules:\n", f"    - {field}\n  rules:\n")
    return parse_contract(lines, PATH)


def _avro(contract: StreamContract, name: str) -> dict[str, Any]:
    (found,) = [field for field in schemas.avro_schema(contract)["fields"] if field["name"] == name]
    return dict(found)


def test_sales_has_its_thirteen_fields_everywhere() -> None:
    contract = load_stream("sales")
    assert contract.field_names == SALES_FIELDS
    schema = schemas.json_schema(contract)
    assert list(schema["properties"]) == schema["required"] == SALES_FIELDS
    assert [field["name"] for field in schemas.avro_schema(contract)["fields"]] == SALES_FIELDS
    assert schema["properties"]["customer_id"]["x-pii"] is True


def test_types_of_each_rendering() -> None:
    contract = load_stream("sales")
    properties = schemas.json_schema(contract)["properties"]
    assert properties["sale_timestamp"]["format"] == "date-time"
    assert properties["quantity"]["maximum"] == 2**31 - 1
    assert _avro(contract, "quantity")["type"] == "int"
    assert _avro(contract, "sale_timestamp")["type"] == {"type": "long", "logicalType": "timestamp-micros"}
    assert _avro(contract, "unit_price")["type"] == {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 12,
        "scale": 2,
    }
    assert "`quantity` INT, `unit_price` DECIMAL(12,2)," in schemas.event_ddl(contract)


def test_nullable_and_unknown_keys() -> None:
    contract = _contract("{name: note, type: string, nullable: true, description: Free text.}")
    schema = schemas.json_schema(contract)
    assert schema["properties"]["note"]["type"] == ["string", "null"]
    assert "note" not in schema["required"]
    assert schema["additionalProperties"] is True
    assert _avro(contract, "note") == {
        "name": "note",
        "type": ["null", "string"],
        "default": None,
        "doc": "Free text.",
    }
    assert "`note` STRING COMMENT 'Free text.'" in schemas.silver_ddl(contract)


def test_parsed_fields_are_raw_text_in_the_event_and_typed_in_silver() -> None:
    contract = _contract(
        "{name: n, source: 'No. of', type: integer, parse: 'cast(value as int)', description: It's one.}"
    )
    assert "`No. of` STRING" in schemas.event_ddl(contract)
    assert "`n` INT NOT NULL COMMENT 'It\\'s one.'" in schemas.silver_ddl(contract)
    # No Avro name has a space or a dot.
    assert _avro(contract, "n")["type"] == "string"


def test_derived_fields_are_in_silver_only() -> None:
    contract = _contract("{name: is_big, type: boolean, derive: 'amount > 9', description: More than nine.}")
    assert "is_big" not in schemas.event_ddl(contract)
    assert "is_big" not in schemas.json_schema(contract)["properties"]
    assert "`is_big` BOOLEAN" in schemas.silver_ddl(contract)


def test_silver_ends_with_where_each_row_came_from() -> None:
    assert schemas.silver_ddl(load_stream("sales")).endswith(
        "`event_date` DATE, `_rescued` STRING, `_topic_id` STRING, `_generation` INT, `_partition` INT, "
        "`_offset` BIGINT, `_batch` BIGINT, `_ingested_at` TIMESTAMP"
    )


def test_a_field_with_two_names_is_taken_under_either() -> None:
    contract = load_stream("user_events")
    schema = schemas.json_schema(contract)
    assert schema["properties"]["timestamp"] == schema["properties"]["event_time"]
    assert "event_time" not in schema["required"]
    assert schema["allOf"] == [{"anyOf": [{"required": ["timestamp"]}, {"required": ["event_time"]}]}]
    assert _avro(contract, "timestamp")["aliases"] == ["event_time"]
    assert "`timestamp` TIMESTAMP, `event_time` TIMESTAMP" in schemas.event_ddl(contract)
    assert "timestamp" not in contract.field_names, "silver knows one name"
    event_time = contract.field("event_time")
    assert event_time.value_in({"timestamp": "a", "event_time": "b"}) == "a"
    assert event_time.value_in({"timestamp": None, "event_time": "b"}) == "b"
    assert event_time.value_in({}) is None
