"""What keeps the lake itself in order, beside the streams' own jobs. Here: assembly. Not here: the work."""

import dagster as dg

from lakehouse.components.maintenance import build_events_maintenance_schedule


@dg.definitions
def operations() -> dg.Definitions:
    """The nightly maintenance of the table of facts."""
    return dg.Definitions(schedules=[build_events_maintenance_schedule()])
