"""Asking a running Dagster over its GraphQL API: is it there, launch a job or a backfill, wait for it.

Here: the few questions that commands ask, with nothing but HTTP. Not here: definitions; Dagster is not imported.
"""

import time
from typing import Any

from lakehouse.engine.embedded import dagster_ui
from lakehouse.engine.embedded.state import StackFiles
from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings

_TIMEOUT_SECONDS = 30.0
_ANSWER_SECONDS = 5.0
_POLL_SECONDS = 1.0
_ENDED = {"COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}

_LAUNCH = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
    ... on PartitionKeysNotFoundError { message }
    ... on UnauthorizedError { message }
    ... on InvalidSubsetError { message }
  }
}
"""
_STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename
    ... on PartitionBackfill { status error { message } }
    ... on PythonError { message }
    ... on BackfillNotFoundError { message }
  }
}
"""
_JOBS = """
query Jobs {
  repositoriesOrError {
    __typename
    ... on RepositoryConnection { nodes { name location { name } jobs { name } } }
    ... on PythonError { message }
  }
}
"""
_LAUNCH_JOB = """
mutation LaunchJob($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on PipelineNotFoundError { message }
    ... on UnauthorizedError { message }
    ... on InvalidSubsetError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_RUN = """
query Run($id: ID!) {
  runOrError(runId: $id) {
    __typename
    ... on Run { status }
    ... on PythonError { message }
    ... on RunNotFoundError { message }
  }
}
"""
_RUNS_UNDER_WAY = """
query UnderWay {
  runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) {
    __typename
    ... on Runs { results { jobName } }
    ... on PythonError { message }
    ... on InvalidPipelineRunsFilterError { message }
  }
}
"""
_RUN_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


class DagsterRefusedError(LakehouseError):
    """A running Dagster did not do what it was asked."""

    code = "DAGSTER_REFUSED"


def find_dagster(settings: Settings) -> str | None:
    """Address of the Dagster that `lakehouse up` or `dev` started, when it answers; else None."""
    url = StackFiles(settings.home).read_endpoints().get("DAGSTER_URL")
    return url if url and dagster_ui.ask(url, _ANSWER_SECONDS) else None


def launch_backfill(url: str, keys: list[list[str]], partitions: list[str], *, title: str) -> str:
    """Ask for a backfill of these assets and partitions; returns its id.

    Raises:
        DagsterRefusedError: with Dagster's own message.
    """
    params = {"assetSelection": [{"path": key} for key in keys], "partitionNames": partitions, "title": title}
    answer = _ask(url, _LAUNCH, {"params": params})["launchPartitionBackfill"]
    if "backfillId" not in answer:
        raise DagsterRefusedError(f"Dagster launched no backfill: {answer.get('message') or answer['__typename']}.")
    return str(answer["backfillId"])


def wait_for_backfill(url: str, backfill_id: str, *, poll_seconds: float = _POLL_SECONDS) -> str:
    """Wait until a backfill has ended; returns its status, `COMPLETED_SUCCESS` when all is well.

    Raises:
        DagsterRefusedError: when Dagster does not know it, or went away.
    """
    while True:
        answer = _ask(url, _STATUS, {"id": backfill_id})["partitionBackfillOrError"]
        if "status" not in answer:
            raise DagsterRefusedError(f"Backfill {backfill_id}: {answer.get('message') or answer['__typename']}.")
        if answer["status"] in _ENDED:
            return str(answer["status"])
        time.sleep(poll_seconds)


def launch_job(url: str, job: str, *, partition: str = "") -> str:
    """Launch a job as the UI's button does, for this partition when it has partitions; returns the run's id.

    Raises:
        DagsterRefusedError: there is no such job, or with Dagster's own message.
    """
    found = _ask(url, _JOBS, {})["repositoriesOrError"].get("nodes", [])
    place = next((node for node in found if job in {known["name"] for known in node["jobs"]}), None)
    if place is None:
        raise DagsterRefusedError(f"Dagster at {url} has no job {job}.")
    params = {
        "selector": {
            "repositoryLocationName": place["location"]["name"],
            "repositoryName": place["name"],
            "jobName": job,
        },
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": partition}] if partition else []},
    }
    answer = _ask(url, _LAUNCH_JOB, {"params": params})["launchRun"]
    if "run" not in answer:
        raise DagsterRefusedError(f"Dagster did not launch {job}: {answer.get('message') or answer['__typename']}.")
    return str(answer["run"]["runId"])


def wait_for_run(url: str, run_id: str, *, patience_seconds: float) -> str:
    """Wait until a run has ended; returns its status, `SUCCESS` when all is well, or the one it has after that time.

    Raises:
        DagsterRefusedError: when Dagster does not know it, or went away.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        answer = _ask(url, _RUN, {"id": run_id})["runOrError"]
        if "status" not in answer:
            raise DagsterRefusedError(f"Run {run_id}: {answer.get('message') or answer['__typename']}.")
        if answer["status"] in _RUN_ENDED or time.monotonic() > deadline:
            return str(answer["status"])
        time.sleep(_POLL_SECONDS)


def jobs_under_way(url: str) -> set[str]:
    """Names of the jobs that have a run which has not ended.

    Raises:
        DagsterRefusedError: with Dagster's own message, or when it went away.
    """
    answer = _ask(url, _RUNS_UNDER_WAY, {})["runsOrError"]
    if "results" not in answer:
        raise DagsterRefusedError(f"Dagster names no runs: {answer.get('message') or answer['__typename']}.")
    return {str(run["jobName"]) for run in answer["results"]}


def _ask(url: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    try:
        document = dagster_ui.ask_graphql(url, query, _TIMEOUT_SECONDS, variables)
    except OSError as error:
        raise DagsterRefusedError(f"Dagster at {url} does not answer: {error}.", fix="lakehouse status") from error
    if document.get("errors"):
        raise DagsterRefusedError(f"Dagster at {url} refused: {document['errors'][0]['message']}.")
    data: dict[str, Any] = document["data"]
    return data
