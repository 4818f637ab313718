"""What a month costs elsewhere: four warehouses, by the table of prices."""

from pathlib import Path

import pytest

from lakehouse.engine.costs import Price, estimate, load_prices
from lakehouse.errors import UsageError


def test_storage_scans_and_hours_add_up_and_the_cheapest_comes_first() -> None:
    prices = {
        "A": Price(storage=0.02, scanned=5, running=0, size="any"),
        "B": Price(storage=0.03, scanned=0, running=2, size="small"),
    }
    months = estimate(prices, stored_gb=100, scanned_gb=4_000, hours=3)
    assert [(m.warehouse, round(m.storage, 2), round(m.queries, 2), round(m.total, 2)) for m in months] == [
        ("B", 3.0, 6.0, 9.0),
        ("A", 2.0, 20.0, 22.0),
    ]
    assert [m.total for m in estimate(prices, stored_gb=0, scanned_gb=0, hours=0)] == [0, 0]
    with pytest.raises(UsageError, match="hours of -1"):
        estimate(prices, stored_gb=0, scanned_gb=0, hours=-1)


def test_the_table_has_the_four_warehouses_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    prices = load_prices()
    assert set(prices) == {"BigQuery", "Snowflake", "Redshift", "Databricks"}
    assert all(price.scanned or price.running for price in prices.values())
    for text in ("prices: {}", "warehouses: {A: {storage: -1, scanned: 0, running: 0, size: x}}", "warehouses: 3"):
        path = tmp_path / "costs.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match="no table of prices"):
            load_prices(path)
