"""Steps of silver in flight: while one is committed, Spark judges and writes the next of a backlog.

A commit needs no Spark: comparing keys and naming files leaves it idle for a quarter of a step. Here: that overlap. Not
here: a step's rows and commit (`lake.silver`), how long the work goes on (`lake.drain`).
"""

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Self

from lakehouse.engine.spark import MANY_ROWS
from lakehouse.lake.ahead import Ahead
from lakehouse.lake.reports import BatchReport
from lakehouse.lake.silver import SilverWriter, StagedStep, Step


class _Begun(NamedTuple):
    """A step whose rows are being judged and written."""

    step: Step
    rows: Ahead[StagedStep]


class Steps:
    """Merges steps one behind the other. Leaving it forgets what was begun and not committed; nothing is half done.

    Args:
        writer: Whose steps.
        max_rows: Of one step.
    """

    def __init__(self, writer: SilverWriter, max_rows: int) -> None:
        self._writer = writer
        self._max_rows = max_rows
        self._begun: _Begun | None = None
        # One at a time: how Spark is told to plan them is a setting of the session.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="silver")

    def __enter__(self) -> Self:
        """Nothing is in flight yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Wait for what Spark is writing and remove it."""
        self._forget()
        self._thread.shutdown()

    def merge_next(self) -> BatchReport | None:
        """Merge the next step; None when silver lacks none. After a failure none is in flight.

        Raises as `SilverWriter.merge`.
        """
        if self._begun is None:
            step = self._writer.next_step(self._max_rows)
            if step is None:
                return None
            self._begin(step)
        assert self._begun is not None  # noqa: S101 - just begun
        step, rows = self._begun
        self._begun = None
        try:
            stack, ready = rows.result()
            with stack:
                self._begin_behind(step)
                return self._writer.commit(ready)
        except BaseException:
            self._forget()
            raise

    def _begin(self, step: Step) -> None:
        self._begun = _Begun(step, Ahead(self._thread, self._writer.staged(step)))

    def _begin_behind(self, step: Step) -> None:
        """Begin the next step, of a backlog only: where events trickle in, it can as well wait to be more."""
        if not self._writer.may_run_ahead:
            return
        following = self._writer.next_step(self._max_rows, behind=step)
        if following is not None and following.rows >= MANY_ROWS:
            self._begin(following)

    def _forget(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.rows.forget()
