"""Which models a build leaves alone, told by a manifest made by hand."""

import json
from pathlib import Path

import pytest

from lakehouse.engine.embedded.manifest import MANIFEST
from lakehouse.lake.gold.lineage import IN_MEMORY, tables_below, untouched


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Orders and customers, each below a view and a mart; orders' mart reads the customers' too; a calendar of both."""
    parents = {
        "model.stg_orders": ["source.orders"],
        "model.stg_customers": ["source.customers"],
        "model.dim_customer": ["model.stg_customers"],
        "model.fct_orders": ["model.int_orders", "model.dim_customer"],
        "model.int_orders": ["model.stg_orders"],
        "model.dim_date": ["model.fct_orders", "model.fct_visits"],
        "model.stg_visits": ["source.visits"],
        "model.fct_visits": ["model.stg_visits"],
        "model.of_nothing": [],
        "test.unique": ["model.fct_orders"],
        "test.visits_are_of_customers": ["model.stg_customers", "model.fct_visits"],
    }
    nodes = {
        key: {
            "name": key.split(".")[1],
            "resource_type": key.split(".")[0],
            "database": "memory" if key.split(".")[1].startswith(("stg", "int")) else "build",
        }
        for key in parents
    }
    sources = {
        "source.orders": {"source_name": "silver", "name": "orders"},
        "source.customers": {"source_name": "history", "name": "customers"},
        "source.visits": {"source_name": "silver", "name": "visits"},
    }
    path = tmp_path / "manifest.json"
    path.write_text(
        json.dumps({"nodes": nodes, "sources": sources, "parent_map": {**parents, **dict.fromkeys(sources, ())}})
    )
    return path


def test_each_model_knows_the_tables_that_it_is_made_of(manifest: Path) -> None:
    below = tables_below(manifest)

    assert below["fct_orders"] == {"orders", "history/customers"}
    assert below["dim_date"] == {"orders", "history/customers", "visits"}
    assert "unique" not in below


@pytest.mark.parametrize(
    ("changed", "alone"),
    [
        # The mart that is computed reads views of orders, which did not change: without them it could not be computed.
        ({"history/customers"}, {"fct_visits", "stg_visits"}),
        # A mart that is read is in the file already: neither it nor the view below it is needed.
        ({"orders"}, {"dim_customer", "fct_visits", "stg_customers", "stg_visits"}),
        # A test of a mart that is computed reads the customers' view.
        ({"visits"}, {"dim_customer", "fct_orders", "int_orders", "stg_orders"}),
        (
            {"nobody's"},
            {"dim_customer", "dim_date", "fct_orders", "fct_visits", "int_orders", "stg_customers", "stg_orders"}
            | {"stg_visits"},
        ),
    ],
)
def test_what_stands_above_no_changed_table_is_left_alone(manifest: Path, changed: set[str], alone: set[str]) -> None:
    assert set(untouched(manifest, changed)) == alone


def test_what_is_below_the_marts_is_in_memory_and_nothing_else_is() -> None:
    """The database's name is dbt's: `dbt_project/profiles.yml` and `dbt_project.yml` decide about it."""
    nodes = json.loads(MANIFEST.read_text(encoding="utf-8"))["nodes"].values()
    for node in nodes:
        if node["resource_type"] in {"model", "snapshot"}:
            assert (node["database"] == IN_MEMORY) == (node["fqn"][1] in {"staging", "intermediate"}), node["name"]
