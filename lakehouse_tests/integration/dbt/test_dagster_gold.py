"""Gold built by Dagster: what it says of the columns, and that a change of them is a warning in the graph."""

import random
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakehouse.components import LakeResource
from lakehouse.defs.gold.definitions import gold
from lakehouse_tests.integration.dbt import silver


def build(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    loaded = dg.Definitions.merge(gold(), dg.Definitions(resources={"lake": LakeResource()}))
    return loaded.resolve_job_def("build_gold").execute_in_process(instance=instance)


def computed(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key}


def changed(result: dg.ExecuteInProcessResult) -> set[str]:
    found = [check for check in result.get_asset_check_evaluations() if check.check_name == "column_schema_change"]
    assert len(found) > 8
    assert all(check.severity == dg.AssetCheckSeverity.WARN for check in found)
    return {check.asset_key.path[-1] for check in found if not check.passed}


@pytest.mark.slow
def test_a_widened_field_is_a_warning_on_the_tables_that_it_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.delenv("LAKEHOUSE_ROOT", raising=False)
    rng = random.Random(5)
    rows = [silver.sale(rng, event_date=silver.DAYS[0]) for _ in range(20)]
    silver.write_sales(tmp_path / "lake", silver.keyed(rows))
    with dg.DagsterInstance.ephemeral() as instance:
        first = build(instance)
        assert changed(first) == set()
        materialised = {event.asset_key.path[-1]: event for event in first.get_asset_materialization_events()}
        metadata = materialised["fct_sales"].step_materialization_data.materialization.metadata
        schema = metadata["dagster/column_schema"].schema  # type: ignore[union-attr]
        assert [(column.name, column.type, bool(column.description)) for column in schema.columns][8:10] == [
            ("quantity", "INTEGER", True),
            ("unit_price", "DECIMAL(12,2)", True),
        ]

        wider = silver.SALES.set(silver.SALES.get_field_index("quantity"), pa.field("quantity", pa.float64()))
        path = str(tmp_path / "lake" / "silver" / "sales")
        write_deltalake(path, pa.Table.from_pylist(rows, schema=wider), mode="overwrite", schema_mode="overwrite")
        second = build(instance)
        assert changed(second) == {"fct_sales", "obt_sales", "sales_daily"}
        assert computed(second) == computed(first), "what has another shape is computed whole"

        new = silver.sale(rng, event_date=silver.DAYS[1])
        write_deltalake(path, pa.Table.from_pylist([new], schema=wider), mode="append")
        third = build(instance)
        assert changed(third) == set()
        assert third.success
        assert {"stg_sales__order_lines", "fct_sales", "dim_date", "dim_product"} <= computed(third)
        assert not {"fct_retail_sales", "stg_market__ticks"} & computed(third), "nothing below it changed"
