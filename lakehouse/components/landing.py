"""The sensor that turns files in a landing folder into runs that send them, and the job that does it.

It keeps no cursor: a *position* names the files as they are, past runs of one position are attempts at the same work.
Here: the decision, the job. Not here: files and sending (`lakehouse.sources.landing`).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lakehouse.components.failures import RETRYABLE_TAG, typed_failures
from lakehouse.components.resources import LakeResource
from lakehouse.components.tables import STREAM_TAG
from lakehouse.contracts.load import load_stream, load_streams

JOB = "send_landed_files"
POSITION_TAG = "lakehouse/landing"
_MOST_ATTEMPTS = 5
_ENDED_BADLY = {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


@dg.op(description="Sends every whole file of the stream's landing folder that was not sent yet.")
def send_landed(context: dg.OpExecutionContext, lake: LakeResource) -> None:
    """Send one stream's files; the stream is the run's tag.

    Raises:
        dagster.Failure: when the broker did not take them, or a file is no regular CSV of this stream.
    """
    contract = load_stream(context.run.tags[STREAM_TAG])
    with typed_failures(context):
        report = lake.send_landed(contract)
    context.log.info(
        "%s: %d rows of %d files sent, %d before.", contract.name, report.sent, report.files, report.before
    )
    context.add_output_metadata(
        {"sent": report.sent, "before": report.before, "files": report.files, "refused": report.refused}
    )
    if report.refused:
        # The good files are sent. Trying again changes nothing until somebody changes the files.
        context.instance.add_run_tags(context.run_id, {RETRYABLE_TAG: "false"})
        raise dg.Failure(
            description="; ".join(f"{name}: {why}" for name, why in report.refused.items()), allow_retries=False
        )


@dg.job(name=JOB, executor_def=dg.in_process_executor, description="Sends files that were dropped into a folder.")
def send_landed_files() -> None:
    """One op; its run's tag says which stream."""
    send_landed()


@dg.sensor(
    name="landed_files",
    job=send_landed_files,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks for new files in <LAKEHOUSE_HOME>/landing/streams/<stream>/*.csv.",
)
def landed_files(context: dg.SensorEvaluationContext, lake: LakeResource) -> Iterator[Any]:
    """One run for each stream whose folder holds files that no run has sent."""
    asked = False
    for stream, position in lake.landed().items():
        request = _request(context.instance, stream, position)
        if request is not None:
            asked = True
            yield request
    if not asked:
        yield dg.SkipReason(f"No new files for {', '.join(load_streams())}.")


def _request(instance: dg.DagsterInstance, stream: str, position: str) -> dg.RunRequest | None:
    tags = {STREAM_TAG: stream, POSITION_TAG: position}
    runs = instance.get_runs(filters=dg.RunsFilter(job_name=JOB, tags=tags))
    failed = [run for run in runs if run.status in _ENDED_BADLY]
    is_settled = any(run.tags.get(RETRYABLE_TAG) == "false" for run in failed)
    if len(runs) > len(failed) or is_settled or len(failed) >= _MOST_ATTEMPTS:
        return None
    return dg.RunRequest(run_key=f"{stream}/{position}/attempt-{len(failed) + 1}", tags=tags)
