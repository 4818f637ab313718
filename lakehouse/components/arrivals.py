"""The sensor that turns a backlog on the broker into drain runs: a state machine over table, broker and past runs.

It reads the committed offsets from the table and the runs from Dagster, keeps no cursor, commits nothing and carries
no payload. A *position* names what is committed (topic id, offsets, batch numbers, contract); past runs of one position
are attempts at the same work. Here: the decision and the sensor. Not here: draining.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import dagster as dg

from lakehouse.components.failures import FAILURE_TAG, RETRYABLE_TAG, runbook
from lakehouse.components.resources import LakeResource
from lakehouse.components.tables import DRAIN, MODE_TAG, REASON_TAG, STREAM_TAG, code_version
from lakehouse.components.workers import is_lost
from lakehouse.contracts.model import StreamContract
from lakehouse.errors import BrokerUnreachableError, QualityStopError, TopicMissingError

if TYPE_CHECKING:
    from lakehouse.lake.monitoring.progress import Backlog

POSITION_TAG = "lakehouse/position"
ATTEMPT_TAG = "lakehouse/attempt"
BREATHER_SECONDS = 10.0
"""Pause after a drain: checks are green and nothing writes, so that gold and waiting backfills get their turn."""
BACKOFF_SECONDS = 10.0
BACKOFF_MOST_SECONDS = 300.0
_LIVE = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class PastRun:
    """What the decision needs to know of a drain run of this stream. `ended` is POSIX seconds, None while it lives."""

    run_id: str
    is_live: bool
    is_failed: bool
    position: str
    ended: float | None
    attempt: int = 1
    failure: str = ""
    is_retryable: bool = True
    reason: str = ""


def build_arrivals_sensor(
    contract: StreamContract, job_name: str, lake: LakeResource | None = None
) -> dg.SensorDefinition:
    """Sensor `<stream>_arrivals`; it starts switched on, because without it nothing is ever loaded.

    The lake is no parameter of its ticks: to resolve one, Dagster opens its databases, 50 ms of processor for each of
    the many ticks that find nothing.
    """
    lake = lake or LakeResource()

    @dg.sensor(
        name=f"{contract.name}_arrivals",
        job_name=job_name,
        # Dagster looks every 5 s; what is due a moment later has to wait for the next look.
        minimum_interval_seconds=max(5, int(contract.poll.total_seconds())) - 1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Launches {job_name} when topic {contract.topic.name} holds records that bronze has not.",
        tags={STREAM_TAG: contract.name},
    )
    def arrivals(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            backlog = lake.backlog(contract)
        except (BrokerUnreachableError, TopicMissingError) as error:
            # Nothing is lost by waiting; the next tick asks again.
            return dg.SkipReason(error.one_line())
        if not is_work(backlog):
            # Most ticks end here: past runs, which cost as much to ask for as the backlog, say nothing more.
            return _nothing_new(contract, backlog)
        runs = _past_runs(context.instance, contract)
        return decide(contract, backlog, runs, now=datetime.now(tz=UTC))

    return arrivals


def decide(
    contract: StreamContract, backlog: "Backlog", runs: Sequence[PastRun], *, now: datetime
) -> dg.RunRequest | dg.SkipReason:
    """What to do about a backlog, given this stream's drain runs, newest first."""
    live = next((run for run in runs if run.is_live), None)
    if live is not None:
        return dg.SkipReason(f"Run {live.run_id[:8]} is on it; {backlog.total} rows wait on the broker.")
    if not is_work(backlog):
        return _nothing_new(contract, backlog)
    day = backlog.days[0][0] if backlog.days else now.date()
    if day < contract.start:
        return dg.SkipReason(
            f"The oldest waiting records arrived on {day}, before the stream's start {contract.start}; "
            f"set `start` in lakehouse/defs/streams/{contract.name}/defs.yaml to {day} or earlier."
        )
    here = position(contract, backlog)
    attempts = [run for run in runs if run.position == here]
    wait = _reason_to_wait(backlog, runs, attempts, now=now.timestamp())
    if wait is not None:
        return dg.SkipReason(wait)
    return _request(contract, here, day, attempt=attempts[0].attempt + 1 if attempts else 1)


def is_work(backlog: "Backlog") -> bool:
    """True when the broker has records for bronze, or bronze batches for silver."""
    return backlog.total > 0 or backlog.silver_batch < backlog.last_batch


def _nothing_new(contract: StreamContract, backlog: "Backlog") -> dg.SkipReason:
    return dg.SkipReason(
        f"Nothing new on {contract.topic.name}; bronze and silver stand at batch {backlog.last_batch}."
    )


def position(contract: StreamContract, backlog: "Backlog") -> str:
    """A short name for what is committed now. A changed contract is another position: a mended one is tried again."""
    facts = [
        backlog.topic_id,
        sorted(backlog.committed.items()),
        backlog.last_batch,
        backlog.silver_batch,
        code_version(contract),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _reason_to_wait(
    backlog: "Backlog",
    runs: Sequence[PastRun],
    attempts: Sequence[PastRun],
    *,
    now: float,
) -> str | None:
    if attempts:
        last = attempts[0]
        # A stop of silver alone: bronze goes on with what is new.
        bronze_may_go_on = last.failure == QualityStopError.code and backlog.total > 0
        if last.is_failed and not last.is_retryable and not bronze_may_go_on:
            return (
                f"{last.failure}: run {last.run_id[:8]} stopped for good at this position; {backlog.total} rows wait. "
                f"See {runbook(last.failure)}; after the repair, re-execute that run."
            )
        pause = min(BACKOFF_SECONDS * 2 ** min(last.attempt - 1, 10), BACKOFF_MOST_SECONDS)
        left = (last.ended or now) + pause - now
        if left > 0:
            ending = last.failure or "without progress"
            return f"Attempt {last.attempt} at this position ended {ending}; the next in {left:.0f} s."
        return None
    newest = runs[0] if runs else None
    if newest is not None and newest.reason in {"idle", "budget"} and newest.ended is not None:
        left = newest.ended + BREATHER_SECONDS - now
        if left > 0:
            return f"{backlog.total} rows wait; a breather of {left:.0f} s for gold and backfills."
    return None


def _request(contract: StreamContract, here: str, day: date, *, attempt: int) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{contract.name}/{day}/{here}/attempt-{attempt}",
        partition_key=day.isoformat(),
        tags={STREAM_TAG: contract.name, POSITION_TAG: here, ATTEMPT_TAG: str(attempt)},
    )


def _past_runs(instance: dg.DagsterInstance, contract: StreamContract) -> list[PastRun]:
    """The stream's latest drain runs, newest first; a live one is found however old it is."""
    tags = {STREAM_TAG: contract.name, MODE_TAG: DRAIN}
    live = instance.get_run_records(filters=dg.RunsFilter(tags=tags, statuses=_LIVE))
    lost = [record.dagster_run for record in live if is_lost(record.dagster_run)]
    for run in lost:
        instance.report_run_failed(run, "The process of this run is gone: the stack or the machine went down.")
    gone = {run.run_id for run in lost}
    live = [record for record in live if record.dagster_run.run_id not in gone]
    recent = instance.get_run_records(filters=dg.RunsFilter(tags=tags), limit=25)
    return [_past_run(record) for record in [*live, *recent]]


def _past_run(record: dg.RunRecord) -> PastRun:
    run = record.dagster_run
    return PastRun(
        run_id=run.run_id,
        is_live=run.status in _LIVE,
        is_failed=run.status in {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED},
        position=run.tags.get(POSITION_TAG, ""),
        ended=record.end_time,
        attempt=int(run.tags.get(ATTEMPT_TAG, "1")),
        failure=run.tags.get(FAILURE_TAG, ""),
        is_retryable=run.tags.get(RETRYABLE_TAG, "true") == "true",
        reason=run.tags.get(REASON_TAG, ""),
    )
