"""From a typed lakehouse error to a failed Dagster step that says what to do.

Here: the translation and the tags that the arrivals sensor reads. Not here: the errors themselves (`lakehouse.errors`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from lakehouse.errors import LakehouseError, Stop

FAILURE_TAG = "lakehouse/failure"
RETRYABLE_TAG = "lakehouse/retryable"


@contextmanager
def typed_failures(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Iterator[None]:
    """Turn a `LakehouseError` inside the block into `dg.Failure` and tag the run with its code.

    Raises:
        dagster.Failure: with code, reason, fix and runbook; retried only when the error says that it may pass.
    """
    try:
        yield
    except LakehouseError as error:
        tags = {FAILURE_TAG: error.code, RETRYABLE_TAG: str(error.retryable).lower()}
        context.instance.add_run_tags(context.run_id, tags)
        raise dg.Failure(
            description=error.one_line(),
            metadata={
                "code": error.code,
                "why": error.why or "see the run's log",
                "fix": error.fix or "see the runbook",
                "runbook": dg.MetadataValue.path(runbook(error.code)),
            },
            allow_retries=error.retryable,
        ) from error


def runbook(code: str) -> str:
    """Path of the page that helps with an error code: each stop has one of its own."""
    stops = {kind.code for kind in Stop.__subclasses__()}
    return f"docs/runbooks/{code}.md" if code in stops else "docs/troubleshooting.md"
