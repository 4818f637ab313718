"""Who beats whom, what is hidden, how a mart's value becomes Spark SQL: the pure parts of a trace."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.lake.traces.answer import HIDDEN, shown, shown_raw
from lakehouse.lake.traces.gold import literal
from lakehouse.lake.traces.verdict import decoded
from lakehouse.lake.traces.versions import decided_by, ranked
from lakehouse_tests.changes import people

DAY = date(2026, 11, 21)


@pytest.fixture(scope="module")
def sales() -> StreamContract:
    return load_stream("sales")


def record(offset: int, at: int | None, **changes: Any) -> dict[str, Any]:
    return {
        "_topic_id": "t",
        "_generation": 0,
        "_partition": 0,
        "_offset": offset,
        "_batch": 0,
        "_first": at,
        "_at": str(at),
        "event_date": None if at is None else DAY,
        "_broken": "",
    } | changes


RECORDS = [
    record(1, 100),
    record(2, 300, _broken="quantity_positive"),
    record(3, 200, _partition=1),
    record(4, 200),
    record(5, 900, _batch=7),
    record(6, None, _broken="malformed_json"),
]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (
            "upsert",
            [
                (3, "in_silver", ""),
                (5, "not_merged", ""),
                (4, "beaten", "partition"),
                (1, "beaten", "event time"),
                (2, "quarantined", ""),
                (6, "quarantined", ""),
            ],
        ),
        (
            "append",
            [
                (1, "in_silver", ""),
                (4, "beaten", "event time"),
                (3, "beaten", "event time"),
                (5, "not_merged", ""),
                (2, "quarantined", ""),
                (6, "quarantined", ""),
            ],
        ),
    ],
)
def test_the_records_of_a_key_are_ranked_as_the_merge_ranks_them(
    sales: StreamContract, mode: str, expected: list[tuple[int, str, str]]
) -> None:
    found = ranked(RECORDS, sales.model_copy(update={"mode": mode}), through=3)
    assert [(v.offset, v.state, v.beaten_by) for v in found] == expected
    assert [v.reasons for v in found if v.offset == 2] == [["quantity_positive"]]


def test_what_decides_is_the_first_difference() -> None:
    assert decided_by((2, 0, 0, 0), (1, 9, 9, 9)) == "event time"
    assert decided_by((1, 1, 0, 0), (1, 0, 9, 9)) == "topic generation"
    assert decided_by((1, 1, 5, 0), (1, 1, 4, 9)) == "partition"
    assert decided_by((1, 1, 5, 9), (1, 1, 5, 8)) == "offset"


def test_personal_fields_and_whatever_may_carry_them_are_hidden(sales: StreamContract) -> None:
    row = {"order_id": "o", "customer_id": "CUST_12345", "_rescued": '{"email":"a@b.c"}'}
    assert shown(sales, row, show_pii=False) == {"order_id": "o", "customer_id": HIDDEN, "_rescued": HIDDEN}
    assert shown(sales, row, show_pii=True) == row
    assert shown_raw(sales, "{", show_pii=False) == HIDDEN
    assert shown_raw(sales, None, show_pii=False) is None
    public = sales.model_copy(update={"fields": [f for f in sales.fields if not f.pii]})
    assert (shown(public, row, show_pii=False), shown_raw(public, "{", show_pii=False)) == (row, "{")


def test_raw_content_is_text_where_it_can_be() -> None:
    assert decoded(b"k", "ü".encode()) == ("k", "ü", "utf-8")
    assert decoded(None, b"\xff") == (None, "/w==", "base64")


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (None, "NULL"),
        (True, "true"),
        (7, "7"),
        (Decimal("1.50"), "1.50"),
        (0.5, "double('0.5')"),
        (DAY, "DATE'2026-11-21'"),
        (datetime(2026, 11, 21, 9, 30, tzinfo=UTC), "TIMESTAMP'2026-11-21 09:30:00+00:00'"),
        ("Aunt's \\ tea", "'Aunt\\'s \\\\ tea'"),
    ],
)
def test_a_marts_value_becomes_spark_sql(value: Any, sql: str) -> None:
    assert literal(value) == sql


def test_a_truncate_takes_what_comes_before_it_and_nothing_that_silver_has_not_judged_valid() -> None:
    rows = [
        record(1, [10]),
        record(2, [30]),
        record(3, [5], _broken="name_not_empty"),
        record(4, [8], _batch=7),
        record(5, [20], _partition=1),
    ]
    contract = people(change={"truncate": "apply"})

    def told(place: tuple[Any, ...]) -> list[tuple[int, str, str]]:
        return [(v.offset, v.state, v.beaten_by) for v in ranked(rows, contract, through=5, truncate=place)]

    late = [(4, "not_merged", ""), (3, "quarantined", "")]
    assert told(([20], 0, 1, 6)) == [
        (2, "in_silver", ""), (5, "beaten", "truncate"), (1, "beaten", "truncate"), *late
    ]  # fmt: skip
    assert told(([40], 0, 0, 9))[:3] == [(offset, "beaten", "truncate") for offset in (2, 5, 1)]
