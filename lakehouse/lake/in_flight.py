"""Micro-batches in flight: while the last files of one are written, the next of a backlog is begun.

Spark writes the files of two batches at once, so that no core waits for the slowest task of a batch; they are committed
in their order, one behind the other. Here: that overlap. Not here: a batch's files and commit (`lake.bronze`), how long
the work goes on (`lake.drain`).
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Self

from lakehouse.lake.ahead import Ahead
from lakehouse.lake.bronze import BronzeWriter, StagedBatch
from lakehouse.lake.plan import Plan
from lakehouse.lake.reports import BatchReport

_AT_ONCE = 2


class _Begun(NamedTuple):
    """A micro-batch whose files are being written."""

    plan: Plan
    waiting: int
    files: Ahead[StagedBatch]


class InFlight:
    """The micro-batches of one writer that were begun and not committed. Leaving it forgets them; none is half done."""

    def __init__(self, writer: BronzeWriter) -> None:
        self._writer = writer
        self._begun: deque[_Begun] = deque()
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="bronze")

    def __enter__(self) -> Self:
        """Nothing is in flight yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Wait for what Spark is writing and remove it."""
        self._forget()
        self._threads.shutdown()

    def __len__(self) -> int:
        """How many were begun and not committed."""
        return len(self._begun)

    @property
    def newest(self) -> Plan | None:
        """The plan begun last, behind which the next one reads on."""
        return self._begun[-1].plan if self._begun else None

    @property
    def has_room(self) -> bool:
        """Whether another may be begun: behind one of a backlog only, else its records can as well wait to be more."""
        if not self._begun:
            return True
        last = self._begun[-1]
        return len(self._begun) < _AT_ONCE and last.waiting >= 2 * last.plan.span

    def begin(self, plan: Plan, waiting: int) -> None:
        """Let Spark write the files of a plan; returns at once."""
        self._begun.append(_Begun(plan, waiting, Ahead(self._threads, self._writer.staged(plan, waiting))))

    def commit(self) -> BatchReport:
        """Commit the one begun first. After a failure none is in flight.

        Raises as `BronzeWriter.staged` and `BronzeWriter.commit`.
        """
        first = self._begun[0]
        try:
            with self._writer.lost_records_named(first.plan):
                stack, batch = first.files.result()
            self._begun.popleft()
            with stack:
                return self._writer.commit(batch)
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        while self._begun:
            self._begun.popleft().files.forget()
