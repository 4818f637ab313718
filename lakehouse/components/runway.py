"""One hourly run that asks for all streams in how long the broker deletes records that nobody has read.

Here: the job and its schedule. Not here: the check itself (`checks`); each stream has its own, so that a warning, or a
step that fails, names its stream.
"""

from collections.abc import Iterable

import dagster as dg

from lakehouse.components.checks import RUNWAY
from lakehouse.components.tables import bronze_key
from lakehouse.contracts.model import StreamContract

JOB = "watch_runway"


def build_runway_schedule(contracts: Iterable[StreamContract]) -> dg.ScheduleDefinition:
    """Asks hourly, without a drain: a stream whose drains fail, or are switched off, has to warn as well."""
    job = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.checks(*(dg.AssetCheckKey(bronze_key(contract), RUNWAY) for contract in contracts)),
        description="Warns before the broker deletes records that nobody has read; one check for each stream.",
        # A run costs seconds, a check milliseconds. A stream that cannot be asked fails its own step; the others go on.
        executor_def=dg.in_process_executor,
    )
    return dg.ScheduleDefinition(
        name="runway_hourly",
        job=job,
        cron_schedule="17 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every hour: in how long does retention delete the oldest unread record of each stream?",
    )
