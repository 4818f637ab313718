"""Losing a race for a commit is no failure: look again and go on. Here: how often, and how long to wait."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from lakehouse.errors import BatchConflictError

P = ParamSpec("P")
R = TypeVar("R")


def again_after_conflict(work: Callable[P, R]) -> Callable[P, R]:
    """Call `work` again when another writer was faster; after six lost races the BatchConflictError is raised."""
    return retry(
        retry=retry_if_exception_type(BatchConflictError),
        stop=stop_after_attempt(6),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        reraise=True,
    )(work)
