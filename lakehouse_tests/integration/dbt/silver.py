"""Silver tables made without Spark, with a plain Python model of what gold must say about them.

Here: rows, Delta writes, expected totals. Not here: tests.
"""

import random
import uuid
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

CATEGORIES = ["Electronics", "Clothing", "Home", "Books"]
DAYS = [date(2026, 3, 1) + timedelta(days=offset) for offset in range(12)]
CENT = Decimal("0.01")

SALES = pa.schema(
    [
        ("order_id", pa.string()),
        ("store_id", pa.string()),
        ("product_id", pa.string()),
        ("product_name", pa.string()),
        ("category", pa.string()),
        ("quantity", pa.int32()),
        ("unit_price", pa.decimal128(12, 2)),
        ("total_price", pa.decimal128(14, 2)),
        ("sale_timestamp", pa.timestamp("us", tz="UTC")),
        ("customer_id", pa.string()),
        ("payment_method", pa.string()),
        ("discount", pa.decimal128(5, 4)),
        ("store_location", pa.string()),
        ("event_date", pa.date32()),
        ("_rescued", pa.string()),
        ("_topic_id", pa.string()),
        ("_generation", pa.int32()),
        ("_partition", pa.int32()),
        ("_offset", pa.int64()),
        ("_batch", pa.int64()),
        ("_ingested_at", pa.timestamp("us", tz="UTC")),
    ]
)

Row = dict[str, Any]
Rows = dict[tuple[date, str], Row]


def sale(rng: random.Random, **changes: Any) -> Row:
    """One valid silver row; `changes` win."""
    product = changes.pop("product", rng.randrange(20))
    day = changes.get("event_date") or rng.choice(DAYS)
    row: Row = {
        "order_id": str(uuid.UUID(int=rng.getrandbits(128))),
        "store_id": f"STORE_NYC_S{rng.randrange(4)}",
        "product_id": f"ANY_PRODUCT_{product}",
        "product_name": f"Product {product}",
        "category": CATEGORIES[product % 4],
        "quantity": rng.randint(1, 5),
        "unit_price": Decimal(100 + 37 * product) / 100,
        "sale_timestamp": datetime.combine(day, time(rng.randrange(24), rng.randrange(60), rng.randrange(60)), UTC),
        "customer_id": f"CUST_{rng.randrange(50):05}",
        "payment_method": rng.choice(["Cash", "PayPal", "Credit Card"]),
        "discount": Decimal(rng.choice(["0.0000", "0.1500", "0.3333"])),
        "store_location": "New York",
        "event_date": day,
        "_topic_id": "topic",
        "_generation": 0,
        "_partition": 0,
        "_offset": rng.randrange(10**9),
        "_batch": 1,
        "_ingested_at": datetime.now(UTC),
    } | changes
    row.setdefault("total_price", row["quantity"] * row["unit_price"])
    return row


def keyed(rows: list[Row]) -> Rows:
    """Rows by silver's identity: event date and key."""
    return {(row["event_date"], row["order_id"]): row for row in rows}


def write_sales(lake: Path, rows: Rows, *, only: set[date] | None = None) -> int:
    """Make silver hold these rows, rewriting only the dates in `only`; returns the Delta version."""
    path = lake / "silver" / "sales"
    for day in sorted(only) if only is not None else [None]:
        chosen = [row for (event_date, _), row in rows.items() if day is None or event_date == day]
        write_deltalake(
            str(path),
            pa.Table.from_pylist(chosen, schema=SALES),
            mode="overwrite",
            partition_by=["event_date", "category"],
            predicate=None if day is None else f"event_date = '{day.isoformat()}'",
        )
    return DeltaTable(str(path)).version()


def expected_daily(rows: Rows) -> dict[tuple[date, str], tuple[Any, ...]]:
    """sales_daily as it must be: order lines, customers, quantity, gross, discount, net by date and category."""
    groups: dict[tuple[date, str], list[Row]] = defaultdict(list)
    for row in rows.values():
        groups[row["event_date"], row["category"]].append(row)
    return {key: _figures(members) for key, members in groups.items()}


def _figures(rows: list[Row]) -> tuple[Any, ...]:
    gross = sum((row["total_price"] for row in rows), Decimal())
    discounts = [(row["total_price"] * row["discount"]).quantize(CENT, ROUND_HALF_UP) for row in rows]
    discount = sum(discounts, Decimal())
    customers = len({row["customer_id"] for row in rows})
    return len(rows), customers, sum(row["quantity"] for row in rows), gross, discount, gross - discount


def shaken(rng: random.Random, rows: Rows, changes: int) -> tuple[Rows, set[date]]:
    """Random arrivals, corrections and removals; returns the new rows and the dates that they touch."""
    new, touched = dict(rows), set()
    for _ in range(changes):
        kind = rng.choice(["add", "correct", "remove"])
        if kind == "add":
            row = sale(rng)
            new[row["event_date"], row["order_id"]] = row
            touched.add(row["event_date"])
            continue
        key = rng.choice(sorted(new))
        touched.add(key[0])
        if kind == "remove":
            del new[key]
        else:
            quantity = rng.randint(6, 9)
            new[key] = new[key] | {"quantity": quantity, "total_price": quantity * new[key]["unit_price"]}
    return new, touched
