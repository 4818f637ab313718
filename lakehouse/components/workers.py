"""Which process works on a run, so that a run whose process vanished does not count as live for ever.

Dagster's own launcher does not look after its runs when the whole machine, or the embedded stack, went down. Here: the
mark a run carries and reading it. Not here: what is done about a lost run (`arrivals`, `pipeline_upkeep`).

A run that repeats another one starts with that one's tags: its mark, of a process that is long gone, and its failure.
So a mark names the run as well, and whoever marks a run for the first time takes back what it inherited.
"""

from collections.abc import Mapping

import dagster as dg

from lakehouse.components.failures import FAILURE_TAG, RETRYABLE_TAG
from lakehouse.engine.embedded.processes import own_place, read_place

WORKER_TAG = "lakehouse/worker"
_NOT_FAILED = {FAILURE_TAG: "", RETRYABLE_TAG: "true"}


def mark_worker(instance: dg.DagsterInstance, run_id: str, tags: Mapping[str, str]) -> None:
    """Note on a run that this process works on it, and these tags beside it."""
    run = instance.get_run_by_id(run_id)
    is_first = run is None or not _is_of(run.tags.get(WORKER_TAG, ""), run_id)
    instance.add_run_tags(run_id, {WORKER_TAG: worker_mark(run_id), **(_NOT_FAILED if is_first else {}), **tags})


def worker_mark(run_id: str) -> str:
    """The mark of this process on a run: where it is, and the run."""
    return f"{own_place()}/{run_id}"


def is_lost(run: dg.DagsterRun) -> bool:
    """Whether the process of a run is certainly gone; False without a mark of its own, or with another machine's."""
    mark = run.tags.get(WORKER_TAG, "")
    place = read_place(mark.rpartition("/")[0])
    if place is None or not _is_of(mark, run.run_id):
        return False
    is_here, process = place
    return is_here and not process.is_alive()


def _is_of(mark: str, run_id: str) -> bool:
    return mark.rpartition("/")[2] == run_id
