"""The simulated shop tells the whole truth about its tables, as a connector would."""

import json
from itertools import islice
from typing import Any

import pytest

from lakehouse.sources.shop import Shape, Shop, Table


def applied(records: list[tuple[str, bytes | None]], shape: Shape) -> dict[int, dict[str, Any]]:
    """The rows that are left when the records are taken one by one."""
    rows: dict[int, dict[str, Any]] = {}
    for key, value in records:
        number = json.loads(key)["id"]
        event = None if value is None else json.loads(value)
        if event is None:
            assert number not in rows, "a tombstone follows its delete"
            continue
        op = event["op"] if shape == "envelope" else event["__op"]
        image = {"c": "after", "u": "after", "r": "after", "d": "before"}[op]
        row = event[image] if shape == "envelope" else {k: v for k, v in event.items() if k[:2] != "__"}
        assert row["id"] == number
        if op == "d":
            assert rows.pop(number) == row
        else:
            assert (number in rows) == (op == "u")
            rows[number] = row
    return rows


@pytest.mark.parametrize("shape", ["envelope", "flat"])
def test_its_records_lead_to_its_tables(shape: Shape) -> None:
    shop = Shop(seed=1, shape=shape, now=lambda: 1_795_176_000.0)
    made = list(islice(shop, 800))
    tables: tuple[Table, ...] = ("customers", "orders")
    for table in tables:
        mine = [(record.key, record.value) for record in made if record.table == table]
        assert applied(mine, shape) == shop.rows(table)
    assert [record.key for record in made] == [record.key for record in islice(Shop(seed=1), 800)]


def test_every_kind_of_change_is_there_and_a_new_key_shares_one_position() -> None:
    events = [
        (record.table, json.loads(record.value)) for record in islice(Shop(seed=1), 800) if record.value is not None
    ]
    positions: dict[tuple[str, int], list[str]] = {}
    for table, event in events:
        positions.setdefault((table, event["source"]["lsn"]), []).append(event["op"])
    kinds = {"".join(ops) for ops in positions.values()}
    assert kinds == {"r" * 20, "r" * 40, "c", "u", "d", "dc"}
    # Each row moves forward in the log, which is all that silver relies on.
    last: dict[tuple[str, int], int] = {}
    for table, event in events:
        row = (table, (event["after"] or event["before"])["id"])
        assert event["source"]["lsn"] > last.get(row, -1)
        last[row] = event["source"]["lsn"]
