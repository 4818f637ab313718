"""What watches over the data: the hourly quality run and the record of every check. Here: assembly only."""

import dagster as dg

from lakehouse.components.check_results import build_check_results_sensor
from lakehouse.components.quality import build_quality_defs
from lakehouse.contracts.load import load_streams


@dg.definitions
def quality() -> dg.Definitions:
    """The quality run over all streams, and the sensor that keeps the results of all checks."""
    return dg.Definitions.merge(
        build_quality_defs(load_streams()), dg.Definitions(sensors=[build_check_results_sensor()])
    )
