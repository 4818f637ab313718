"""The contract of a captured table against what its connector registered."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from lakehouse.contracts.captured import captured_problems
from lakehouse.contracts.load import load_stream
from lakehouse_tests.changes import people
from lakehouse_tests.connector_avro import CITY, COLUMNS, envelope_schema, flat_schema, people_of

AVRO = {"name": "people", "partitions": 3, "format": "avro"}
PEOPLE = people_of(AVRO)


def problems(columns: dict[str, Any], **changes: Any) -> list[str]:
    """The same of an envelope and of a row alone."""
    contract = people_of(AVRO, **changes)
    found, flat = (captured_problems(contract, json.dumps(of(columns))) for of in (envelope_schema, flat_schema))
    assert found == flat
    return found


def test_the_row_inside_the_envelope_is_what_is_compared() -> None:
    assert problems(COLUMNS) == problems(COLUMNS | CITY) == []
    assert problems({name: kind for name, kind in COLUMNS.items() if name != "born"}) == []
    assert problems({name: kind for name, kind in COLUMNS.items() if name != "name"}) == [
        "the table has no column name (field name, rule required_field_is_there)"
    ]
    assert problems(COLUMNS | CITY, evolve={"add": "stop"}) == ["the contract does not know city, rule evolve.add"]
    assert captured_problems(PEOPLE, '"string"') == ["the registered schema is no record, rule row_is_there"]


@pytest.mark.parametrize(
    ("column", "kind", "called"),
    [
        ("id", "int", ""),
        ("id", "string", "string"),
        ("id", "double", "double"),
        ("born", "string", ""),
        ("born", {"type": "int", "logicalType": "date"}, ""),
        ("seen", {"type": "string", "connect.name": "io.debezium.time.ZonedTimestamp"}, ""),
        ("seen", {"type": "long", "logicalType": "timestamp-millis"}, ""),
        ("seen", ["null", "boolean"], "boolean"),
        ("paid", "string", ""),
        ("paid", ["null", {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 1}], ""),
        ("paid", {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 3}, "decimal(10,3)"),
        ("paid", {"type": "bytes", "logicalType": "decimal", "precision": 11, "scale": 2}, "decimal(11,2)"),
        (
            "paid",
            {"type": "record", "name": "V", "connect.name": "io.debezium.data.VariableScaleDecimal", "fields": []},
            "record (io.debezium.data.VariableScaleDecimal)",
        ),
        ("name", {"type": "array", "items": "string"}, ""),
    ],
)
def test_a_column_that_the_contract_cannot_read_is_named(column: str, kind: Any, called: str) -> None:
    wanted = f"{called} cannot be read as {PEOPLE.field(column).type} (field {column}, rule type_may_only_widen)"
    assert problems(COLUMNS | {column: kind}) == ([wanted] if called else [])


def test_a_change_stream_may_be_avro_and_says_its_decimals_by_their_type() -> None:
    assert PEOPLE.topic.format == "avro"
    fields = people().model_dump(mode="json")["fields"]
    times = [{"name": "at", "type": "timestamp", "encoding": "nanos", "description": "Time."}]
    assert people(AVRO, fields=fields + times).field("at").encoding == "nanos"
    with pytest.raises(ValidationError, match="Avro has types of its own"):
        people(AVRO, fields=[*fields[:2], fields[2] | {"encoding": "base64"}])
    sales = load_stream("sales").model_dump(mode="json")
    sales["topic"]["format"] = "avro"
    with pytest.raises(ValidationError, match="Avro has types of its own"):
        type(PEOPLE).model_validate(sales | {"fields": sales["fields"] + times})
