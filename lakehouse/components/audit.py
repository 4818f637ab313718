"""Dagster's runs and backfills as actions of the audit table. Here: who started what, and what became of it."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from lakehouse.components.failures import FAILURE_TAG
from lakehouse.components.tables import STREAM_TAG
from lakehouse.lake.monitoring.audit import Action

BACK = timedelta(days=2)
MOST_RUNS = 2_000
_BY = {"dagster/sensor_name": "sensor", "dagster/schedule_name": "schedule", "dagster/backfill": "backfill"}
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def dagster_actions(instance: dg.DagsterInstance, *, now: datetime) -> list[Action]:
    """Runs that ended, and backfills, of the last two days."""
    since = now - BACK
    records = instance.get_run_records(filters=dg.RunsFilter(statuses=_ENDED, updated_after=since), limit=MOST_RUNS)
    return [*map(_run, records), *_backfills(instance, since)]


def actor_of(run: dg.DagsterRun) -> str:
    """Who asked for a run: a sensor, a schedule, a backfill, or a person."""
    for tag, kind in _BY.items():
        if tag in run.tags:
            return f"{kind}:{run.tags[tag]}"
    return run.tags.get("user", "user")


def _run(record: dg.RunRecord) -> Action:
    run = record.dagster_run
    at = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
    return Action(
        at=at,
        actor=actor_of(run),
        action="run",
        subject=run.job_name,
        outcome=run.status.value.lower(),
        details={
            "run_id": run.run_id,
            "stream": run.tags.get(STREAM_TAG),
            "partition": run.tags.get("dagster/partition"),
            "failure": run.tags.get(FAILURE_TAG) or None,
            "seconds": round((record.end_time or 0) - record.start_time, 3) if record.start_time else None,
        },
        identity=run.run_id,
    )


def _backfills(instance: dg.DagsterInstance, since: datetime) -> list[Action]:
    return [
        Action(
            at=datetime.fromtimestamp(backfill.backfill_timestamp, UTC),
            actor=backfill.user or "user",
            action="backfill",
            subject=", ".join(key.to_user_string() for key in backfill.asset_selection or []) or "?",
            outcome=backfill.status.value.lower(),
            details={"backfill_id": backfill.backfill_id, "title": backfill.title},
            identity=backfill.backfill_id,
        )
        for backfill in instance.get_backfills(limit=100)
        if backfill.backfill_timestamp >= since.timestamp()
    ]
