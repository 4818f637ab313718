"""Steps of silver in flight: of a backlog the next is staged while one is committed; a failure takes it back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, cast

import pytest

from lakehouse.engine.spark import MANY_ROWS
from lakehouse.errors import BatchConflictError
from lakehouse.lake.silver import SilverWriter, StagedStep, Step
from lakehouse.lake.steps import Steps

MANY, FEW = MANY_ROWS, MANY_ROWS - 1


class _Writer:
    """Has a step per batch, of `rows[batch]` rows; records what is asked of it."""

    def __init__(self, *rows: int, may_run_ahead: bool = True) -> None:
        self.rows = list(rows)
        self.may_run_ahead = may_run_ahead
        self.staging = {batch: threading.Event() for batch in range(len(rows))}
        self.open: set[int] = set()
        self.committed: list[int] = []
        self.staged_at_commit: list[set[int]] = []
        self.refuses: set[int] = set()
        self.breaks: set[int] = set()

    def next_step(self, max_rows: int, behind: Step | None = None) -> Step | None:
        assert max_rows == 7
        after = behind.through if behind else len(self.committed) - 1
        if after + 1 == len(self.rows):
            return None
        return Step(after, after + 1, self.rows[after + 1], (date(2026, 1, 1),), ())

    @contextmanager
    def staged(self, step: Step) -> Iterator[StagedStep]:
        self.open.add(step.through)
        self.staging[step.through].set()
        try:
            if step.through in self.breaks:
                raise ConnectionError("Spark went away")
            yield StagedStep(step, cast("Any", None), 0.0)
        finally:
            self.open.remove(step.through)

    def commit(self, ready: StagedStep) -> int:
        batch = ready.step.through
        assert batch in self.open
        following = self.staging.get(batch + 1)
        if following is not None and self.may_run_ahead and self.rows[batch + 1] >= MANY:
            assert following.wait(10), "the next step is staged while this one is committed"
        self.staged_at_commit.append({number for number, begun in self.staging.items() if begun.is_set()})
        if batch in self.refuses:
            raise BatchConflictError("somebody was faster")
        self.committed.append(batch)
        return batch


def steps_of(writer: _Writer) -> Steps:
    return Steps(cast("SilverWriter", writer), 7)


def all_of(steps: Steps) -> list[Any]:
    return [cast("Any", done) for done in iter(steps.merge_next, None)]


def test_a_backlog_is_staged_one_ahead_and_committed_in_order() -> None:
    writer = _Writer(MANY, MANY, MANY)
    with steps_of(writer) as steps:
        assert all_of(steps) == [0, 1, 2]
        assert writer.open == set()
    assert writer.staged_at_commit == [{0, 1}, {0, 1, 2}, {0, 1, 2}]


@pytest.mark.parametrize("writer", [_Writer(MANY, FEW, FEW), _Writer(MANY, MANY, MANY, may_run_ahead=False)])
def test_behind_what_trickles_in_and_with_a_history_nothing_is_begun(writer: _Writer) -> None:
    with steps_of(writer) as steps:
        assert all_of(steps) == [0, 1, 2]
    assert writer.staged_at_commit == [{0}, {0, 1}, {0, 1, 2}]


def test_a_refused_commit_takes_the_next_one_back_and_all_begins_again() -> None:
    writer = _Writer(MANY, MANY)
    writer.refuses = {0}
    with steps_of(writer) as steps:
        with pytest.raises(BatchConflictError):
            steps.merge_next()
        assert writer.open == set()
        assert writer.committed == []
        writer.refuses = set()
        assert all_of(steps) == [0, 1]


def test_what_was_begun_and_failed_is_told_when_its_turn_comes() -> None:
    writer = _Writer(MANY, MANY)
    writer.breaks = {1}
    with steps_of(writer) as steps:
        assert cast("Any", steps.merge_next()) == 0
        with pytest.raises(ConnectionError):
            steps.merge_next()
        writer.breaks = set()
        assert all_of(steps) == [1]


def test_leaving_removes_what_was_begun() -> None:
    writer = _Writer(MANY, MANY)
    with steps_of(writer) as steps:
        steps.merge_next()
        assert writer.staging[1].wait(10)
    assert writer.open == set()
    assert writer.committed == [0]
