"""Which lines of the daemon's log `lakehouse dev` shows."""

from lakehouse.cli.dev import tells_something

SENSOR = "2026-11-30 19:41:03 +0000 - dagster.daemon.SensorDaemon - INFO - Sensor {} skipped: {}"
# As the daemon wrote them within a minute in which nothing came.
IDLE = [
    SENSOR.format("pipeline_sla", "0 runs take too long."),
    SENSOR.format("pipeline_upkeep", "0 limits changed, 0 lost runs ended."),
    SENSOR.format("landed_files", "No new files for orders, sales."),
    SENSOR.format("check_results", "No check was evaluated since the last look."),
    SENSOR.format("dbt_automation", "The conditions were asked less than 14 s ago, and no run has ended since."),
    SENSOR.format("speed_automation", "Nothing was recorded since the conditions were last asked."),
    SENSOR.format("failed_runs", "Sensor function returned an empty result"),
    SENSOR.format("failed_runs", "Initiating failed_runs. Set cursor to RunStatusSensorCursor(record_id=-1)"),
    SENSOR.format("sales_arrivals", "Nothing new on sales_events; offsets 0:12."),
    SENSOR.format("sales_arrivals", "Run ffef5611 is on it; 200 rows wait on the broker."),
    "2026-11-30 19:40:48 +0000 - dagster.daemon.EventLogConsumerDaemon - WARNING - No cursor for event type X",
]
TOLD = [
    SENSOR.format("sales_arrivals", "RESUME_POINT_GONE: records were deleted. Next: lakehouse accept-gap sales"),
    SENSOR.format("pipeline_sla", "1 runs take too long."),
    SENSOR.format("pipeline_upkeep", "0 limits changed, 1 lost runs ended."),
    "2026-11-30 19:41:10 +0000 - dagster.daemon.SensorDaemon - INFO - Launching run for sales_arrivals",
    "2026-11-30 19:42:40 +0000 - dagster - INFO - drain_sales - sales 2026-11-30: 1 batches, 3000 rows to bronze",
]


def test_an_idle_lake_is_silent_and_whatever_happens_is_told() -> None:
    assert [line for line in IDLE if tells_something(line)] == []
    assert [line for line in TOLD if not tells_something(line)] == []
