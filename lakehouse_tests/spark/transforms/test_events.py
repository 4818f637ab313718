"""Every kind of record that can arrive, and the verdict that it gets."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.lake.schema.tables import BRONZE_COLUMNS
from lakehouse.transforms.events import judge, silver_columns
from lakehouse.transforms.winners import winner_per_key
from lakehouse_tests.streams import encode, sale

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
GOOD = sale(1, at=NOW)
pytestmark = pytest.mark.spark


def without(field: str) -> bytes:
    return encode({key: value for key, value in GOOD.items() if key != field})


CASES: dict[str, tuple[bytes | None, str]] = {
    "good": (encode(GOOD), ""),
    "tombstone": (None, "no_value"),
    "empty": (b"", "malformed_json"),
    "not_json": (b"hello", "malformed_json"),
    "cut_off": (encode(GOOD)[:-9], "malformed_json"),
    "array": (b"[" + encode(GOOD) + b"]", "malformed_json"),
    "json_null": (b"null", "malformed_json"),
    "not_utf8": (b"\xff\xfe" + encode(GOOD), "not_utf8"),
    "deep": (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed_json"),
    "wrong_type": (encode(GOOD | {"quantity": "three"}), "quantity_type,quantity_positive,total_is_gross"),
    "object_for_number": (encode(GOOD | {"quantity": {"n": 1}}), "quantity_type,quantity_positive,total_is_gross"),
    "huge_number": (
        encode(GOOD).replace(b'"unit_price": ', b'"unit_price": 1e400, "was": '),
        "unit_price_type,unit_price_positive,total_is_gross",
    ),
    "missing": (without("customer_id"), "customer_id_present,customer_id_format"),
    "null_key": (encode(GOOD | {"order_id": None}), "order_id_present,order_id_is_uuid"),
    "no_time": (
        without("sale_timestamp"),
        "sale_timestamp_present,event_time_not_in_future,event_time_not_too_old",
    ),
    "far_future": (encode(sale(1, at=NOW + timedelta(days=40))), "event_time_not_in_future"),
    "year_1970": (encode(sale(1, at=datetime(1970, 1, 2, tzinfo=UTC))), "event_time_not_too_old"),
    "two_rules": (
        encode(GOOD | {"quantity": -1, "discount": 1.5}),
        "quantity_positive,total_is_gross,discount_in_range",
    ),
    "unknown_category": (encode(GOOD | {"category": "Weapons"}), "known_category"),
    "unknown_payment": (encode(GOOD | {"payment_method": "Barter"}), ""),
    "extra_field": (encode(GOOD | {"loyalty": {"tier": 2}}), ""),
    "repeated_field": (encode(GOOD)[:-1] + b', "store_location": "Boston"}', ""),
}


def raw(spark: "SparkSession", values: list[bytes | None], headers: list[Any] | None = None) -> "DataFrame":
    """Bronze with these records, in the order of their offsets."""
    records = [
        ("topic", 0, offset, NOW, 1, None, value, of_record, 0, NOW, "kafka://t", date(2026, 11, 20))
        for offset, (value, of_record) in enumerate(zip(values, headers or [None] * len(values), strict=True))
    ]
    return spark.createDataFrame(records, BRONZE_COLUMNS)


def rows(
    spark: "SparkSession", contract: StreamContract, values: list[bytes | None], headers: list[Any] | None = None
) -> list[Any]:
    return judge(raw(spark, values, headers), contract, ("topic",)).orderBy("_offset").collect()


def test_a_record_was_sent_again_as_often_as_its_last_header_says(spark: "SparkSession") -> None:
    said = {
        0: None,
        1: [("retry_count", b"1"), ("other", b"7")],
        3: [("retry_count", b"2"), ("retry_count", b"3")],
    }
    never = [[], [("other", b"7")], [("retry_count", b"x")], [("retry_count", b"-3")]]
    never.append([("retry_count", b"4"), ("retry_count", None)])
    judged = rows(spark, load_stream("sales"), [None] * 8, [*said.values(), *never])
    assert [row["_retry_count"] for row in judged] == [*said, *(0 for _ in never)]


def test_decimals_keep_all_their_digits(spark: "SparkSession") -> None:
    price = FieldSpec(name="price", type="decimal(38,18)", description="A price.", nullable=True)
    contract = load_stream("sales")
    contract = contract.model_copy(update={"fields": [*contract.fields, price]})
    exact = ["0.123456789012345678", "12345678901234567890.000000000000000001", '"0.1234567890123456789e1"', "1.5e-3"]
    values = [encode(GOOD)[:-1] + f', "price": {text}}}'.encode() for text in exact]
    assert [row["price"] for row in rows(spark, contract, [*values])] == [Decimal(text.strip('"')) for text in exact]


def test_each_kind_of_record_gets_its_verdict(spark: "SparkSession") -> None:
    judged = rows(spark, load_stream("sales"), [value for value, _ in CASES.values()])
    verdicts = dict(zip(CASES, (row["_broken"] for row in judged), strict=True))
    assert verdicts == {name: wanted for name, (_, wanted) in CASES.items()}
    by_name = dict(zip(CASES, judged, strict=True))
    assert by_name["unknown_payment"]["_warned"] == "known_payment_method"
    assert json.loads(by_name["extra_field"]["_rescued"]) == {"loyalty": '{"tier":2}'}
    assert by_name["good"]["_rescued"] is None
    assert by_name["repeated_field"]["store_location"] == "Boston"
    assert by_name["good"]["event_date"] == date(2026, 11, 20)
    assert str(by_name["good"]["unit_price"]) == f"{GOOD['unit_price']:.2f}"


def test_own_parse_and_derived_fields(spark: "SparkSession") -> None:
    sales = load_stream("sales")
    text = FieldSpec(
        name="quantity", type="integer", description="As text.", parse="regexp_replace(value, ' pcs$', '')"
    )
    twice = FieldSpec(name="twice", type="integer", description="Double.", derive="quantity * 2")
    fields = [text if field.name == "quantity" else field for field in sales.fields]
    contract = sales.model_copy(update={"fields": [*fields, twice]})
    event = sale(3, at=NOW, quantity="2 pcs", unit_price=1.5, total_price=3.0)
    good, bad = rows(spark, contract, [encode(event), encode(event | {"quantity": "two pcs"})])
    assert (good["_broken"], good["quantity"], good["twice"]) == ("", 2, 4)
    assert bad["_broken"] == "quantity_type,twice_present,quantity_positive,total_is_gross"


def test_infinite_doubles_are_no_numbers(spark: "SparkSession") -> None:
    sales = load_stream("sales")
    loose = FieldSpec(name="score", type="double", description="Any number.", nullable=True)
    contract = sales.model_copy(update={"fields": [*sales.fields, loose]})
    events = [encode(GOOD | {"score": 1.5}), encode(GOOD)[:-1] + b', "score": 1e400}', encode(GOOD)]
    assert [row["_broken"] for row in rows(spark, contract, events)] == ["", "score_type", ""]


@pytest.mark.parametrize(("mode", "winner"), [("upsert", "b"), ("append", "older")])
def test_one_row_of_a_key_wins_whatever_the_order(spark: "SparkSession", mode: str, winner: str) -> None:
    contract = load_stream("sales").model_copy(update={"mode": mode})
    first = sale(5, at=NOW)
    events = [first | {"store_location": place} for place in ("a", "b")] + [
        sale(5, at=NOW - timedelta(minutes=5)) | {"store_location": "older"}
    ]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        raw = [
            ("topic", 0, offset, NOW, 1, None, encode(events[offset]), None, 0, NOW, "kafka://t", date(2026, 11, 20))
            for offset in order
        ]
        judged = judge(spark.createDataFrame(raw, BRONZE_COLUMNS), contract, ("topic",))
        kept = winner_per_key(judged.select(*silver_columns(contract)), contract).collect()
        assert [row["store_location"] for row in kept] == [winner]


def test_user_events_are_parsed_under_both_names_of_the_time_and_judged(spark: "SparkSession") -> None:
    contract = load_stream("user_events")
    at = "2026-11-20T11:59:00Z"
    event = {"event_id": "e1", "user_id": "U1", "session_id": "s1", "event_type": "purchase", "revenue": 9.5}
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "timestamp": (event | {"timestamp": at}, ""),
        "event_time": (event | {"event_time": at}, ""),
        "both": (event | {"timestamp": at, "event_time": "2026-11-19T00:00:00Z"}, ""),
        "null_then_other": (event | {"timestamp": None, "event_time": at}, ""),
        "neither": (event, "event_time_present,event_time_not_in_future,event_time_not_too_old"),
        "unreadable": (
            event | {"event_time": "soon"},
            "event_time_type,event_time_not_in_future,event_time_not_too_old",
        ),
        "no_user": (event | {"timestamp": at, "user_id": None}, "user_id_present,user_id_not_empty"),
        "blank_user": (event | {"timestamp": at, "user_id": " "}, "user_id_not_empty"),
        "scroll": (event | {"timestamp": at, "event_type": "scroll"}, "known_event_type"),
    }
    judged = rows(spark, contract, [encode(value) for value, _ in cases.values()])
    assert {name: row["_broken"] for name, row in zip(cases, judged, strict=True)} == {
        name: wanted for name, (_, wanted) in cases.items()
    }
    good = judged[:4]
    assert {row["event_time"].astimezone(UTC) for row in good} == {datetime(2026, 11, 20, 11, 59, tzinfo=UTC)}
    assert {row["event_date"] for row in good} == {date(2026, 11, 20)}
    assert all(row["_rescued"] is None for row in good)


@pytest.mark.parametrize("kind", ["decimal(12,2)", "decimal(28,10)"])
def test_decimals_of_every_form_are_exact_or_none(spark: "SparkSession", kind: str) -> None:
    """Where it was parsed as a decimal, `1e30000000` kept Spark busy for minutes."""
    price = FieldSpec(name="price", type=kind, description="A price.", nullable=True)
    contract = load_stream("sales")
    contract = contract.model_copy(update={"fields": [*contract.fields, price]})
    exact = ["1.50", "-0.01", '"2.75"', "1.5e3", "12345678.9", "9999999999.99", "0.1", "7"]
    refused = ["1e30000000", '"1e30000000"', "1E+99999", "true", '"1.5 EUR"', "{}", "1e400"]
    values = [encode(GOOD)[:-1] + f', "price": {text}}}'.encode() for text in [*exact, *refused]]
    judged = rows(spark, contract, values)
    assert [row["price"] for row in judged] == [
        *(Decimal(json.loads(text)) if text[0] == '"' else Decimal(text) for text in exact),
        *(None for _ in refused),
    ]
    assert [row["_broken"] in ("price_type", "malformed_json") for row in judged] == [False] * len(exact) + [
        True
    ] * len(refused)
