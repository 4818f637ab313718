"""What keeps the lake itself in order, beside the streams' own jobs. Here: assembly. Not here: the work."""

import dagster as dg

from lakehouse.components.exports import build_export_defs
from lakehouse.components.maintenance import build_events_maintenance_schedule
from lakehouse.components.monitoring import build_monitoring_defs
from lakehouse.components.runway import build_runway_schedule
from lakehouse.contracts.load import load_streams

_EXPORTED = ("sales_daily", "retail_daily")


@dg.definitions
def operations() -> dg.Definitions:
    """Maintenance of the facts, the watch over unread records, monitoring with its alerts, and the daily export."""
    contracts = load_streams()
    return dg.Definitions.merge(
        dg.Definitions(schedules=[build_events_maintenance_schedule(), build_runway_schedule(contracts.values())]),
        build_monitoring_defs(contracts),
        build_export_defs([dg.AssetKey(["gold", name]) for name in _EXPORTED]),
    )
