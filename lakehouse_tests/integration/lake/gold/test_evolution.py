"""A contract that changes while the pipeline is down reaches gold with the next build; no mart is touched by hand."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Evolution, FieldSpec
from lakehouse.lake.drain import drain
from lakehouse.lake.gold import builds
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.streams import encode, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
LARGE = 3_000_000_000


def evolved(old: StreamContract) -> StreamContract:
    """Three widened fields, two new ones (one personal), a renamed and a dropped one."""
    changes: dict[str, dict[str, Any]] = {
        "quantity": {"type": "long"},
        "unit_price": {"type": "decimal(14,4)"},
        "total_price": {"type": "decimal(18,4)"},
        "store_location": {"name": "city", "aliases": ["store_location"]},
    }
    fields = [field.model_copy(update=changes.get(field.name, {})) for field in old.fields]
    fields = [field for field in fields if field.name != "payment_method"]
    fields.append(FieldSpec(name="loyalty", type="integer", nullable=True, description="Points."))
    fields.append(FieldSpec(name="nick", type="string", nullable=True, pii=True, description="Name."))
    rules = [rule for rule in old.rules if rule.name != "known_payment_method"]
    return old.model_copy(update={"fields": fields, "rules": rules, "evolve": Evolution(rename="alias")})


def run(contract: StreamContract, settings: Settings, events: list[dict[str, Any]]) -> builds.GoldReport:
    send(settings, contract.topic.name, [encode(event) for event in events])
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    report = builds.build(settings)
    assert report.failures == []
    return report


def ask(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(builds.gold_path(settings)), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_widened_added_renamed_and_dropped_fields_reach_the_marts(
    settings: Settings, topic_name: Callable[[str], str]
) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    old = sales_on(settings, topic_name("to_gold"))
    plain = {"at": yesterday, "product_id": "BOOKS_NOVEL_1", "category": "Books", "unit_price": 2.0, "discount": 0.0}
    # Four decimals: silver rounds them until the contract has room. A new field's value is kept aside until then.
    other = {**plain, "product_id": "BOOKS_NOVEL_2", "unit_price": 2.0004}
    cut = sale(1, **other, quantity=3, total_price=6.0012, loyalty=7, nick="Jo")
    kept = sale(2, **plain, quantity=3, total_price=6.0)
    run(old, settings, [cut, kept])
    assert ask(
        settings, "select quantity, unit_price, typeof(quantity), typeof(unit_price) from fct_sales order by 1"
    ) == [
        (3, Decimal("2.00"), "INTEGER", "DECIMAL(12,2)"),
        (3, Decimal("2.00"), "INTEGER", "DECIMAL(12,2)"),
    ]

    new = evolved(old)
    later = {**plain, "at": yesterday + timedelta(seconds=1)}
    large = sale(3, **later, quantity=LARGE, total_price=2.0 * LARGE, loyalty=9)
    large = {("city" if key == "store_location" else key): value for key, value in large.items()} | {"city": "Rome"}
    report = run(new, settings, [large])

    assert report.mode == "full", "marts that append would keep the narrower type"
    columns = "order_id, quantity, unit_price, gross_amount, net_amount, loyalty, store_location, payment_method"
    assert {row[0]: row[1:] for row in ask(settings, f"select {columns} from obt_sales")} == {
        event["order_id"]: (quantity, Decimal(price), Decimal(gross), Decimal(gross), loyalty, city, None)
        # More decimals: every date is read again by the contract of today, which has no way to pay any more.
        for event, quantity, price, gross, loyalty, city in (
            (cut, 3, "2.0004", "6.0012", 7, "New York"),
            (kept, 3, "2.0000", "6.0000", None, "New York"),
            (large, LARGE, "2.0000", f"{2 * LARGE}.0000", 9, "Rome"),
        )
    }
    types = {
        f"{table}.{column}": kind
        for table, column, kind in ask(
            settings, "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'main'"
        )
    }
    assert {name: types[f"fct_sales.{name}"] for name in ("quantity", "unit_price", "net_amount")} == {
        "quantity": "BIGINT",
        "unit_price": "DECIMAL(14,4)",
        "net_amount": "DECIMAL(18,4)",
    }
    assert types["sales_daily.gross_amount"] == "DECIMAL(22,4)"
    assert types["dim_product.list_price"] == "DECIMAL(14,4)", (
        "the snapshot is never built anew, and widens all the same"
    )
    assert "obt_sales.nick" not in types, "personal"
    assert "obt_sales.city" not in types, "gold's name of it stays"
    assert ask(settings, "select sum(quantity), sum(gross_amount) from sales_daily") == [
        (LARGE + 6, Decimal(2 * LARGE) + Decimal("12.0012"))
    ]
    versions = ask(settings, "select product_id, list_price, is_current from dim_product order by product_id")
    assert versions == [("BOOKS_NOVEL_1", Decimal("2.0000"), True), ("BOOKS_NOVEL_2", Decimal("2.0004"), True)]
    assert verify(settings, [new]).findings == []
