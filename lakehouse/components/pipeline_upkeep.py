"""Keeping runs in order: how many of a batch pipeline may work at once, and runs whose process is gone.

Dagster keeps the limits of pools in its database, not in a file, and its launcher does not look after its runs: one
that vanished with the machine would hold its place for hours. Here: both, in one sensor. Not here: starting runs.
"""

from collections.abc import Mapping

import dagster as dg

from lakehouse.components.workers import is_lost

UPKEEP_SECONDS = 15


def build_upkeep_sensor(limits: Mapping[str, int]) -> dg.SensorDefinition:
    """Sensor `pipeline_upkeep`; `limits` are runs at once by pool.

    Until its first tick a pool has the limit of `dagster.yaml`, one run: too few for a moment, never too many.
    """

    @dg.sensor(
        name="pipeline_upkeep",
        minimum_interval_seconds=UPKEEP_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sets how many runs of each batch pipeline may work at once, and ends runs whose process is gone.",
    )
    def pipeline_upkeep(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        changed = apply_limits(context.instance, limits)
        lost = end_lost_runs(context.instance)
        return dg.SkipReason(f"{len(changed)} limits changed, {len(lost)} lost runs ended.")

    return pipeline_upkeep


def apply_limits(instance: dg.DagsterInstance, limits: Mapping[str, int]) -> list[str]:
    """Give pools their limits; returns those that had another one."""
    storage = instance.event_log_storage
    known = {pool.name: pool.limit for pool in storage.get_pool_limits()}
    changed = [pool for pool, limit in limits.items() if known.get(pool) != limit]
    for pool in changed:
        storage.set_concurrency_slots(pool, limits[pool])
    return changed


def end_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fail the started runs whose process is certainly gone, so that they hold no pool.

    Dagster's own retries take those of pipelines up again, the arrivals sensor the drains.
    """
    started = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    lost = [run for run in started if is_lost(run)]
    for run in lost:
        instance.report_run_failed(run, "The process of this run is gone: it was killed, or the machine went down.")
    return [run.run_id for run in lost]
