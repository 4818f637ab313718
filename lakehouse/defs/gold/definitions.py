"""What gold contributes to Dagster: the dbt assets, a job, the sensor that evaluates their condition.

Here: assembly, lazily: dbt is imported when definitions are loaded, never when this package is. Not here: the assets.
"""

import dagster as dg

from lakehouse.components.automation import Automation
from lakehouse.contracts.load import load_streams


def watched_tables() -> list[dg.AssetKey]:
    """The tables whose changes and checks decide about a build: what the dbt project reads, and bronze below it."""
    from lakehouse.engine.embedded.manifest import PROJECT
    from lakehouse.lake.gold.build_plan import gold_streams

    read = [name.split("/") for name in gold_streams(PROJECT, load_streams())]
    paths = {("bronze", path[-1]) for path in read} | {tuple(["silver", *path][-2:]) for path in read}
    return [dg.AssetKey(list(path)) for path in sorted(paths)]


@dg.definitions
def gold() -> dg.Definitions:
    """Gold's definitions; loading fails with the fix when dbt's manifest is missing."""
    from lakehouse.defs.gold.assets import asking_model, build_gold_assets, require_manifest
    from lakehouse.defs.gold.schema_checks import build_schema_checks, gold_tables

    assets = build_gold_assets(watched_tables(), require_manifest())
    checks = build_schema_checks(gold_tables(require_manifest()))
    selection = dg.AssetSelection.assets(assets)
    return dg.Definitions(
        assets=[assets],
        asset_checks=checks,
        jobs=[
            dg.define_asset_job(
                "build_gold",
                selection=selection,
                description="Builds every model from silver as it is now, tests it and publishes the file.",
                executor_def=dg.in_process_executor,
            )
        ],
        sensors=[
            Automation(
                "dbt_automation",
                target=selection,
                minimum_interval_seconds=4,
                # Each look that asks, asks about every table and check; all that gold waits for is told at the end of a
                # run.
                pause_seconds=14,
                asks_for_all=True,
                description="Builds all of gold when silver changed and every blocking check below it holds. "
                f"Why, or why not, is on the Automation page of {asking_model(assets).to_user_string()}, which asks.",
            )
        ],
    )
