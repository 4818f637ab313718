"""Gold's schema checks: which tables have one, and that they run with their tables."""

import json
from pathlib import Path

import dagster as dg

from lakehouse.defs.gold.assets import MANIFEST
from lakehouse.defs.gold.schema_checks import build_schema_checks, gold_tables

MART = dg.AssetKey(["gold", "fct_sales"])


def test_every_mart_and_snapshot_is_looked_at_and_no_view() -> None:
    nodes = json.loads(Path(MANIFEST).read_text(encoding="utf-8"))["nodes"].values()
    kept = {node["name"] for node in nodes if node["fqn"][1] == "marts" and node["resource_type"] == "model"}

    assert {key.path[-1] for key in gold_tables(MANIFEST)} == kept | {"snap_product"}


def test_the_checks_run_in_the_build() -> None:
    @dg.asset(key=MART)
    def fct_sales() -> None: ...

    checks = build_schema_checks([MART])
    found = dg.Definitions(assets=[fct_sales], asset_checks=[checks])
    with dg.DagsterInstance.ephemeral() as instance:
        result = found.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
        assert {check.check_name for check in result.get_asset_check_evaluations()} == {"column_schema_change"}
