"""Gold's schema checks: which tables have one, and that a build asks for them in the same run."""

import json
from pathlib import Path

import dagster as dg

from lakehouse.defs.gold.assets import MANIFEST
from lakehouse.defs.gold.automation import lake_is_new_and_sound
from lakehouse.defs.gold.schema_checks import build_schema_checks, gold_tables

SILVER, MART = dg.AssetKey(["silver", "sales"]), dg.AssetKey(["gold", "fct_sales"])


def test_every_mart_and_snapshot_is_looked_at_and_no_view() -> None:
    nodes = json.loads(Path(MANIFEST).read_text(encoding="utf-8"))["nodes"].values()
    kept = {node["name"] for node in nodes if node["fqn"][1] == "marts" and node["resource_type"] == "model"}

    assert {key.path[-1] for key in gold_tables(MANIFEST)} == kept | {"snap_product"}


def test_the_checks_are_asked_for_with_the_build() -> None:
    @dg.asset(key=SILVER)
    def sales() -> None: ...

    @dg.asset(key=MART, deps=[SILVER], automation_condition=lake_is_new_and_sound([SILVER]))
    def fct_sales() -> None: ...

    checks = build_schema_checks([MART])
    found = dg.Definitions(assets=[sales, fct_sales], asset_checks=[checks])
    with dg.DagsterInstance.ephemeral() as instance:
        first = dg.evaluate_automation_conditions(found, instance)
        assert first.total_requested == 0
        dg.materialize([sales], instance=instance)
        second = dg.evaluate_automation_conditions(found, instance, cursor=first.cursor)
        asked = {result.key for result in second.results if result.true_subset.size}
        assert asked == {MART, *checks.check_keys}
