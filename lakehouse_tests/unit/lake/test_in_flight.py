"""Micro-batches in flight: begun side by side, committed in their order, forgotten together."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest

from lakehouse.errors import BatchConflictError
from lakehouse.lake.bronze import BronzeWriter, StagedBatch
from lakehouse.lake.in_flight import InFlight
from lakehouse.lake.plan import Plan


def _plan(batch: int, rows: int = 10) -> Plan:
    first = batch * rows
    return Plan("s", "t", batch, {0: first}, {0: first + rows}, date(2026, 1, 1), f"w{batch}", ("t",))


class _Writer:
    """Records what is asked of it; the files of a batch are ready when `ready[batch]` is set."""

    def __init__(self) -> None:
        self.ready = {batch: threading.Event() for batch in range(3)}
        self.begun: list[int] = []
        self.open: set[int] = set()
        self.committed: list[int] = []
        self.refuses: set[int] = set()

    @contextmanager
    def staged(self, plan: Plan, waiting: int) -> Iterator[StagedBatch]:
        self.begun.append(plan.batch)
        self.open.add(plan.batch)
        try:
            assert self.ready[plan.batch].wait(10)
            yield StagedBatch(plan, waiting, Path(), 0.0)
        finally:
            self.open.remove(plan.batch)

    @contextmanager
    def lost_records_named(self, plan: Plan) -> Iterator[None]:
        yield

    def commit(self, batch: StagedBatch) -> int:
        if batch.plan.batch in self.refuses:
            raise BatchConflictError("somebody was faster")
        self.committed.append(batch.plan.batch)
        return batch.plan.batch


@pytest.fixture
def writer() -> _Writer:
    return _Writer()


def _in_flight(writer: _Writer) -> InFlight:
    return InFlight(cast("BronzeWriter", writer))


def test_a_backlog_is_written_two_at_a_time_and_committed_in_order(writer: _Writer) -> None:
    with _in_flight(writer) as batches:
        batches.begin(_plan(0), waiting=30)
        assert batches.has_room
        batches.begin(_plan(1), waiting=20)
        assert (batches.newest, batches.has_room) == (_plan(1), False)
        # The second is ready first and waits for the first.
        writer.ready[1].set()
        writer.ready[0].set()
        assert [cast("Any", batches.commit()) for _ in range(2)] == [0, 1]
        assert writer.open == set()
    assert writer.committed == [0, 1]


def test_behind_what_trickles_in_nothing_is_begun(writer: _Writer) -> None:
    with _in_flight(writer) as batches:
        batches.begin(_plan(0), waiting=19)
        assert not batches.has_room, "less than another such batch waits"
        writer.ready[0].set()
        batches.commit()
        assert batches.has_room


def test_what_stands_behind_a_lost_batch_is_forgotten(writer: _Writer) -> None:
    writer.refuses = {0}
    with _in_flight(writer) as batches:
        batches.begin(_plan(0), waiting=30)
        batches.begin(_plan(1), waiting=20)
        for ready in writer.ready.values():
            ready.set()
        with pytest.raises(BatchConflictError):
            batches.commit()
        assert (len(batches), writer.open, batches.has_room) == (0, set(), True)
    assert writer.committed == []


def test_leaving_forgets_what_was_begun(writer: _Writer) -> None:
    writer.ready[0].set()
    with _in_flight(writer) as batches:
        batches.begin(_plan(0), waiting=30)
    assert (writer.begun, writer.open, writer.committed) == ([0], set(), [])
