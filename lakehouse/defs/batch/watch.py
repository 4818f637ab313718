"""What watches over all batch pipelines together. Here: assembly. Not here: the pipelines; they are YAML beside it."""

import dagster as dg

from lakehouse.components.incidents import build_sla_sensor
from lakehouse.components.pipeline_assets import pool
from lakehouse.components.pipeline_upkeep import build_upkeep_sensor
from lakehouse.contracts.pipelines import load_pipelines


@dg.definitions
def watch() -> dg.Definitions:
    """Long and lost runs, and the pools' limits."""
    pipelines = load_pipelines()
    limits = {pool(name): contract.max_active_runs for name, contract in pipelines.items()}
    return dg.Definitions(
        sensors=[build_sla_sensor(pipelines), build_upkeep_sensor(limits)],
    )
