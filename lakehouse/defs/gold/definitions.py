"""What gold contributes to Dagster: the dbt assets, a job, the sensor that evaluates their condition.

Here: assembly, lazily: dbt is imported when definitions are loaded, never when this package is. Not here: the assets.
"""

import dagster as dg

from lakehouse.contracts.load import load_streams


@dg.definitions
def gold() -> dg.Definitions:
    """Gold's definitions; loading fails with the fix when dbt's manifest is missing."""
    from lakehouse.defs.gold.assets import DBT_PROJECT, build_gold_assets, require_manifest
    from lakehouse.lake.gold_plan import gold_streams

    tables = [
        dg.AssetKey([layer, stream])
        for stream in gold_streams(DBT_PROJECT, load_streams())
        for layer in ("bronze", "silver")
    ]
    assets = build_gold_assets(tables, require_manifest())
    selection = dg.AssetSelection.assets(assets)
    return dg.Definitions(
        assets=[assets],
        jobs=[
            dg.define_asset_job(
                "build_gold",
                selection=selection,
                description="Builds every model from silver as it is now, tests it and publishes the file.",
                executor_def=dg.in_process_executor,
            )
        ],
        sensors=[
            dg.AutomationConditionSensorDefinition(
                "dbt_automation",
                target=selection,
                minimum_interval_seconds=5,
                # On from the start: without it gold stays as it was when somebody last pressed a button.
                default_status=dg.DefaultSensorStatus.RUNNING,
                description="Builds gold when silver changed and every blocking check below it holds.",
            )
        ],
    )
