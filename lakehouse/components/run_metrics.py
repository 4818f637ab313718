"""Figures of Dagster's runs: how many succeed, how long they take, which failed for good.

Here: reading the instance. Not here: what is too much (`ops.alerts`).
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from lakehouse.components.failures import FAILURE_TAG, RETRYABLE_TAG
from lakehouse.components.tables import DRAIN, MODE_TAG
from lakehouse.ops.samples import Sample

WINDOW = timedelta(days=1)
MOST_RUNS = 2_000
ATTEMPTS_BEFORE_ALARM = 3
"""A drain that its sensor asks for again is a failure for people when so many attempts have failed."""
_WILL_RETRY_TAG = "dagster/will_retry"
_ATTEMPT_TAG = "lakehouse/attempt"
_ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


def sample_runs(instance: dg.DagsterInstance, *, now: datetime) -> list[Sample]:
    """Of each job: share that succeeded and number within a day, duration of the latest run, whether it failed."""
    records = instance.get_run_records(filters=dg.RunsFilter(created_after=now - WINDOW), limit=MOST_RUNS)
    by_job: dict[str, list[dg.RunRecord]] = defaultdict(list)
    for record in records:
        by_job[record.dagster_run.job_name].append(record)
    return [sample for job, own in sorted(by_job.items()) for sample in _of_job(job, own, now)]


def is_tried_again(run: dg.DagsterRun) -> bool:
    """Whether somebody retries this failed run: Dagster itself, or the arrivals sensor within its first attempts."""
    tags = run.tags
    if tags.get(_WILL_RETRY_TAG) == "true":
        return True
    is_drain = tags.get(MODE_TAG) == DRAIN
    attempts = int(tags.get(_ATTEMPT_TAG, "1"))
    return is_drain and tags.get(RETRYABLE_TAG, "true") == "true" and attempts < ATTEMPTS_BEFORE_ALARM


def failure_sample(run: dg.DagsterRun, reason: str, *, at: datetime | None = None) -> Sample:
    """The sample of a run that failed for good."""
    code = run.tags.get(FAILURE_TAG)
    text = f"{code}: {reason}" if code and code not in reason else reason
    labels = {"job": run.job_name, "run": run.run_id[:8], "reason": " ".join(text.split())[:500]}
    return Sample("run_failed", 1.0, labels, at or datetime.now(UTC))


def _of_job(job: str, records: Sequence[dg.RunRecord], now: datetime) -> list[Sample]:
    labels = {"job": job}
    ended = [record for record in records if record.dagster_run.status in _ENDED]
    samples = []
    if ended:
        good = sum(record.dagster_run.status is dg.DagsterRunStatus.SUCCESS for record in ended)
        samples.append(Sample("run_success_ratio", good / len(ended), labels, now))
        samples.append(Sample("runs_finished", float(len(ended)), labels, now))
        latest = max(ended, key=lambda record: record.end_time or 0)
        run = latest.dagster_run
        if run.status is dg.DagsterRunStatus.FAILURE and not is_tried_again(run):
            samples.append(failure_sample(run, "its latest run failed", at=now))
    started = [record for record in records if record.start_time]
    if started:
        latest = max(started, key=lambda record: record.start_time or 0)
        seconds = (latest.end_time or now.timestamp()) - (latest.start_time or 0)
        named = {**labels, "run": latest.dagster_run.run_id[:8]}
        samples.append(Sample("run_seconds", max(0.0, seconds), named, now))
    return samples
