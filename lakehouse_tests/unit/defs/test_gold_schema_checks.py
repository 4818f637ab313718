"""Gold's schema checks: which tables have one, and that they run with their tables."""

import json
from collections.abc import Iterator

import dagster as dg

from lakehouse.defs.gold.schema_checks import build_schema_checks, gold_tables
from lakehouse.engine.embedded.manifest import MANIFEST

MART = dg.AssetKey(["gold", "fct_sales"])


def test_every_mart_and_snapshot_is_looked_at_and_no_view() -> None:
    nodes = json.loads(MANIFEST.read_text(encoding="utf-8"))["nodes"].values()
    kept = {node["name"] for node in nodes if node["fqn"][1] == "marts" and node["resource_type"] == "model"}

    assert {key.path[-1] for key in gold_tables(MANIFEST)} == kept | {"snap_product"}


def test_the_checks_of_what_was_built_run_in_the_build() -> None:
    """A build leaves models alone that nothing has changed for: the others are looked at all the same."""
    alone = dg.AssetKey(["gold", "fct_retail_sales"])

    @dg.multi_asset(specs=[dg.AssetSpec(MART, skippable=True), dg.AssetSpec(alone, skippable=True)], can_subset=True)
    def gold() -> Iterator[dg.MaterializeResult[None]]:
        yield dg.MaterializeResult(asset_key=MART)

    found = dg.Definitions(assets=[gold], asset_checks=build_schema_checks([MART, alone]))
    with dg.DagsterInstance.ephemeral() as instance:
        result = found.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
        evaluated = {(check.asset_key, check.check_name) for check in result.get_asset_check_evaluations()}
    assert evaluated == {(MART, "column_schema_change")}
