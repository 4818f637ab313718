"""A sample becomes a contract that loads; guesses are marked, personal values never copied."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.contracts.infer import infer_contract, read_sample
from lakehouse.contracts.load import parse_contract
from lakehouse.contracts.model import StreamContract
from lakehouse.errors import UsageError

PAYMENT = {
    "paymentId": "p-1",
    "createdAt": "2026-03-01T10:00:00Z",
    "bookedOn": "2026-03-02",
    "amount": 12.5,
    "rate": 1.12345,
    "count": 3,
    "bigId": 5_000_000_000,
    "ok": True,
    "email": "ann@example.org",
    "contact": "+44 20 7946 0000",
    "meta": {"a": 1},
    "sentTs": 1_772_359_200_000,
}


def _inferred(*events: dict[str, Any], name: str = "payments") -> tuple[str, StreamContract]:
    text = infer_contract(name, _read(events))
    return text, parse_contract(text, Path("x/defs.yaml"))


def _read(events: Any) -> list[dict[str, Any]]:
    from decimal import Decimal

    found: list[dict[str, Any]] = json.loads(json.dumps(events), parse_float=Decimal)
    return found


def test_types_names_key_time_and_start() -> None:
    _, contract = _inferred(PAYMENT, PAYMENT | {"paymentId": "p-2", "createdAt": "2026-02-27T23:30:00-02:00"})
    assert {field.name: field.type for field in contract.fields} == {
        "payment_id": "string",
        "created_at": "timestamp",
        "booked_on": "date",
        "amount": "decimal(18,2)",
        "rate": "double",
        "count": "integer",
        "big_id": "long",
        "ok": "boolean",
        "email": "string",
        "contact": "string",
        "meta": "string",
        "sent_ts": "timestamp",
    }
    assert contract.field("payment_id").source == "paymentId"
    assert contract.field("sent_ts").parse == "timestamp_millis(cast(value as bigint))"
    assert (contract.key, contract.event_time, str(contract.start)) == (["payment_id"], "created_at", "2026-02-28")
    assert contract.topic.name == "payments_events"


def test_personal_fields_are_marked_and_their_values_not_copied() -> None:
    text, contract = _inferred(PAYMENT)
    assert [field.name for field in contract.fields if field.pii] == ["email", "contact"]
    assert "ann@" not in text
    assert "7946" not in text
    assert text.count("# confirm: looks personal") == 2


def test_missing_and_null_values_make_a_field_nullable() -> None:
    rest = {name: value for name, value in PAYMENT.items() if name != "count"}
    _, contract = _inferred(PAYMENT, rest | {"paymentId": "p-2", "ok": None})
    assert [field.name for field in contract.fields if field.nullable] == ["count", "ok"]


def test_mixed_types_become_text_and_say_so() -> None:
    text, contract = _inferred(PAYMENT, PAYMENT | {"paymentId": "p-2", "count": "three"})
    assert contract.field("count").type == "string"
    assert "values of several types" in text


def test_words_that_yaml_reads_otherwise_are_quoted() -> None:
    _, contract = _inferred({"no": 1, "null": "x", "on": "2026-01-01T00:00:00Z"}, name="yes")
    assert contract.name == "yes"
    assert contract.field_names == ["no", "null", "on"]


def test_names_that_the_tables_use_themselves_are_given_away() -> None:
    _, contract = _inferred({"key": "k-1", "value": 3, "timestamp": "2026-01-01T00:00:00Z"})
    assert {field.name: field.key for field in contract.fields} == {
        "key_given": "key", "value_given": "value", "timestamp_given": "timestamp",
    }  # fmt: skip


KEYS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
    | st.datetimes().map(lambda moment: moment.isoformat())
    | st.dates().map(lambda day: day.isoformat())
)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(KEYS, SCALARS, max_size=2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=8), min_size=1, max_size=4))
def test_whatever_the_sample_holds_the_yaml_loads(events: list[dict[str, Any]]) -> None:
    timed = [event | {"at": "2026-01-01T00:00:00Z"} for event in events]
    _, contract = _inferred(*timed)
    keys = {key for event in timed for key in event}
    assert {field.key for field in contract.fields} == keys


def test_events_without_a_time_are_refused() -> None:
    with pytest.raises(UsageError, match="looks like a time"):
        infer_contract("x", [{"id": 1}])


def test_a_bad_name_is_refused() -> None:
    with pytest.raises(UsageError, match="lower-case"):
        infer_contract("My Stream", [{"at": "2026-01-01T00:00:00Z"}])


@pytest.mark.parametrize(
    ("text", "count"),
    [('{"a": 1}', 1), ('{\n  "a": 1\n}\n', 1), ('[{"a": 1}, {"a": 2}]', 2), ('{"a": 1}\n\n{"a": 2}\n', 2)],
)
def test_an_object_an_array_or_lines(tmp_path: Path, text: str, count: int) -> None:
    path = tmp_path / "s.json"
    path.write_text(text, encoding="utf-8")
    assert len(read_sample(path)) == count


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no event"),
        ("[]", "holds no event"),
        ("[1]", "event 1 is no JSON object"),
        ('{"a": 1}\n{"a": \n', r"s\.json:2: no valid JSON"),
        ('{\n"a": 1,\n}', r"s\.json:3: no valid JSON"),
    ],
)
def test_what_is_no_sample_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_sample(path)
