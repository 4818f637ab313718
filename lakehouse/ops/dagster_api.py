"""Asking a running Dagster over its GraphQL API: is it there, launch a backfill, wait for it.

Here: the few questions that commands ask, with nothing but HTTP. Not here: definitions; Dagster is not imported.
"""

import json
import time
import urllib.error
import urllib.request
from typing import Any

from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings

_TIMEOUT_SECONDS = 30.0
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


class DagsterRefusedError(LakehouseError):
    """A running Dagster did not do what it was asked."""

    code = "DAGSTER_REFUSED"


def find_dagster(settings: Settings) -> str | None:
    """Address of the Dagster that `lakehouse up` or `dev` started, when it answers; else None."""
    path = settings.home / "endpoints.json"
    if not path.is_file():
        return None
    url = json.loads(path.read_text(encoding="utf-8")).get("DAGSTER_URL")
    if not url:
        return None
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=5) as answer:  # noqa: S310 - our own http address
            return str(url) if answer.status == 200 else None
    except OSError:
        return None


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


def _ask(url: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(  # noqa: S310 - our own http address
        f"{url}/graphql", data=body, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
            document = json.loads(answer.read())
    except OSError as error:
        raise DagsterRefusedError(f"Dagster at {url} does not answer: {error}.", fix="lakehouse status") from error
    if document.get("errors"):
        raise DagsterRefusedError(f"Dagster at {url} refused: {document['errors'][0]['message']}.")
    data: dict[str, Any] = document["data"]
    return data
