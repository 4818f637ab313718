"""Corrected events: typed as the contract says, everything else left as it was written."""

import json

import pytest

from lakehouse.contracts.corrections import corrected, parse_corrections
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.parts import FieldSpec
from lakehouse.errors import UsageError

SALES = load_stream("sales")


def test_only_the_named_fields_change_and_numbers_keep_their_digits() -> None:
    event = (
        '{"quantity": "two", "unit_price": 0.10000000000000000001, "more": [1e400, {"a": "\\u0000\\ud800 \\"x\\" é"}]}'
    )
    after = corrected(event, parse_corrections(SALES, ["quantity=2", "total_price=0.20", 'store_location=São "Paulo"']))
    assert '"quantity": 2,' in after
    assert '"unit_price": 0.10000000000000000001,' in after
    assert "[1e400," in after
    assert '"total_price": 0.20' in after
    before, now = json.loads(event), json.loads(after)
    assert now["store_location"] == 'São "Paulo"'
    assert now["more"] == before["more"]


@pytest.mark.parametrize(
    ("pair", "complaint"),
    [
        ("quantity=two", "is not a whole number"),
        ("unit_price=NaN", r"is not a decimal\(12,2\)"),
        ("sale_timestamp=yesterday", "is not a time"),
        ("quantiti=2", "no field 'quantiti'"),
        ("quantity", "is no field=value"),
    ],
)
def test_a_value_that_is_none_of_its_type_is_refused(pair: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_corrections(SALES, [pair])


@pytest.mark.parametrize("event", ["", "[1]", "{", "[" * 100_000])
def test_what_is_no_json_object_cannot_be_corrected(event: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        corrected(event, {"quantity": "1"})


@pytest.mark.parametrize(
    "event",
    [
        '{"before": null, "after": {"id": 1, "n": "x"}, "op": "c"}',
        '{"schema": {"n": 0}, "payload": {"after": {"n": "x"}, "op": "u"}}',
        '{"id": 1, "n": "x", "__op": "u"}',
    ],
)
def test_a_change_record_is_corrected_in_its_row(event: str) -> None:
    assert corrected(event, {"n": '"y"'}, is_change=True) == event.replace('"x"', '"y"')


def test_bytes_in_base64_cannot_be_set() -> None:
    price = FieldSpec(name="price", type="decimal(12,2)", description="A price.", encoding="base64")
    encoded = SALES.model_copy(update={"fields": [*SALES.fields, price]})
    with pytest.raises(UsageError, match="price cannot be set"):
        parse_corrections(encoded, ["price=12"])
