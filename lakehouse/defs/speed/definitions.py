"""What the speed layer contributes to Dagster: its assets, a job, the sensor that evaluates speed and serving.

Here: assembly. Not here: the assets.
"""

import dagster as dg

from lakehouse.components.automation import Automation
from lakehouse.defs.speed.assets import speed_tables


@dg.definitions
def speed() -> dg.Definitions:
    """Definitions of the speed layer."""
    selection = dg.AssetSelection.groups("speed", "serving")
    return dg.Definitions(
        assets=[speed_tables],
        jobs=[
            dg.define_asset_job(
                "advance_speed",
                selection=selection,
                description="Brings windows, sessions, the real-time views and the key figures up to silver.",
                executor_def=dg.in_process_executor,
            )
        ],
        sensors=[
            Automation(
                "speed_automation",
                target=selection,
                minimum_interval_seconds=5,
                description="Advances speed and serving when silver's user events, or the batch view, changed.",
            )
        ],
    )
