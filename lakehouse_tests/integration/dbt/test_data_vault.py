"""The optional Data Vault of sales: off by default, built by a variable, and only ever added to."""

import json
import random
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakehouse.engine.embedded.manifest import MANIFEST
from lakehouse.lake.gold import builds, dbt_run
from lakehouse.lake.gold.builds import GoldBuild
from lakehouse.settings import load_settings
from lakehouse_tests.integration.dbt import silver

VAULT = ["hub_order", "hub_product", "hub_store", "link_sale", "sat_product", "sat_sale"]
ON = ["--vars", "{data_vault: true}"]


def build(run: GoldBuild, database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Build the vault and what it reads, as dbt by hand does: from silver's newest version; its rows."""
    variables = run.env | {"LAKEHOUSE_DBT_SILVER": "null"}
    result = dbt_run.run_dbt(["build", "--select", "+path:models/data_vault", *ON], variables, run.state)
    assert result.failures == []
    assert result.tests_passed >= 15
    with duckdb.connect(str(database), read_only=True) as duck:
        return {name: duck.execute(f"from data_vault.{name} order by all").fetchall() for name in VAULT}


@pytest.mark.slow
def test_hubs_link_and_satellites_are_what_was_sold_and_keep_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.delenv("LAKEHOUSE_ROOT", raising=False)
    settings = load_settings()
    rng = random.Random(5)
    rows = silver.keyed([silver.sale(rng) for _ in range(60)])
    silver.write_sales(tmp_path / "lake", rows)
    with builds.building(settings) as run:
        _fill_twice_and_once_more(run, builds.work_path(settings), tmp_path / "lake", rows, rng)


def _fill_twice_and_once_more(
    run: GoldBuild, database: Path, lake: Path, rows: silver.Rows, rng: random.Random
) -> None:
    first = build(run, database)
    assert build(run, database) == first, "nothing is added twice"
    sold = list(rows.values())
    assert {row[1] for row in first["hub_product"]} == {row["product_id"] for row in sold}
    assert {row[1] for row in first["hub_store"]} == {row["store_id"] for row in sold}
    assert {row[1] for row in first["hub_order"]} == {row["order_id"] for row in sold}
    assert len(first["link_sale"]) == len(first["sat_sale"]) == 60
    assert len(first["sat_product"]) == len(first["hub_product"]), "one look each"

    # A sale is corrected, and a product gets another price: further rows, and every old one stays.
    key, corrected = next(iter(sorted(rows.items())))
    quantity = corrected["quantity"] + 1
    rows[key] = corrected | {"quantity": quantity, "total_price": quantity * corrected["unit_price"]}
    later = max(row["sale_timestamp"] for row in sold) + timedelta(seconds=1)
    dearer = silver.sale(rng, product=3, event_date=later.date(), sale_timestamp=later, unit_price=Decimal("77.70"))
    rows[dearer["event_date"], dearer["order_id"]] = dearer
    silver.write_sales(lake, rows)
    second = build(run, database)
    added = {name: len(second[name]) - len(first[name]) for name in VAULT}
    is_new = dearer["product_id"] not in {row["product_id"] for row in sold}
    assert added == {
        "hub_order": 1, "hub_product": int(is_new), "hub_store": 0, "link_sale": 1, "sat_product": 1, "sat_sale": 2,
    }  # fmt: skip
    assert all(set(first[name]) <= set(second[name]) for name in VAULT)
    moments = [row[1] for row in second["sat_product"] if row[5] == Decimal("77.70")]
    assert moments == [later.astimezone(UTC).replace(tzinfo=None)]


def test_the_vault_is_off_by_default() -> None:
    nodes = json.loads(MANIFEST.read_text(encoding="utf-8"))["nodes"]
    assert not [node for node in nodes if "data_vault" in nodes[node]["fqn"]]
