"""In how long does the broker delete records that nobody has read? A check of each stream, and an hourly run of all.

Here: the check, the job and its schedule. Not here: bronze's other checks (`checks`), which this one stands among.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from lakehouse.components.resources import LakeResource
from lakehouse.components.tables import bronze_key
from lakehouse.contracts.model import StreamContract

JOB = "watch_runway"
RUNWAY = "retention_runway"
WARN_SHARE = 0.25
"""Warn when less than this share of the topic's retention is left for the oldest unread record."""


def runway_spec(contract: StreamContract) -> dg.AssetCheckSpec:
    """The check of one stream's bronze table; it blocks nothing."""
    return dg.AssetCheckSpec(
        RUNWAY,
        asset=bronze_key(contract),
        description="In how long retention deletes the oldest unread record; warns when less than a quarter of the "
        "topic's retention is left, or less than twice the time that reading it takes.",
    )


def judge_runway(
    context: dg.AssetCheckExecutionContext, lake: LakeResource, contract: StreamContract
) -> dg.AssetCheckResult:
    """Compare the age of the oldest unread record with the topic's retention and the pace of the latest drain."""
    backlog = lake.backlog(contract)
    retention = contract.topic.retention.total_seconds() / 3600
    hours = retention if backlog.total == 0 else lake.hours_until_expiry(contract, backlog, now=datetime.now(tz=UTC))
    metadata: dict[str, Any] = {
        "lag_rows": backlog.total,
        "runway_hours": round(hours, 2),
        "retention_hours": retention,
    }
    rate = _rows_per_second(context, contract)
    hours_to_read = 0.0
    if rate:
        hours_to_read = backlog.total / rate / 3600
        metadata |= {"rows_per_second": round(rate, 1), "hours_to_read": round(hours_to_read, 4)}
    return dg.AssetCheckResult(
        asset_key=bronze_key(contract),
        check_name=RUNWAY,
        passed=hours >= max(WARN_SHARE * retention, 2 * hours_to_read),
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )


def _rows_per_second(context: dg.AssetCheckExecutionContext, contract: StreamContract) -> float | None:
    """Pace of the latest drain, from its closing event; None when there was none or it read nothing."""
    event = context.instance.get_latest_materialization_event(bronze_key(contract))
    found = event.asset_materialization.metadata if event and event.asset_materialization else {}
    rows, seconds = (found.get(name) for name in ("run_rows", "run_seconds"))
    if rows is None or seconds is None or not rows.value or not seconds.value:
        return None
    return float(str(rows.value)) / float(str(seconds.value))


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
