"""Silver's steps staged one ahead: whoever else commits, and whatever a step is refused for, each row is there once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lakehouse.errors import DiskFullError
from lakehouse.lake.drain import drain
from lakehouse.lake.ledger import merged_through
from lakehouse.lake.log.staging import staged_files
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.silver import SilverWriter, Step
from lakehouse.lake.steps import Steps
from lakehouse.settings import Settings
from lakehouse_tests.faults.story import Topic, assert_whole, some_records
from lakehouse_tests.streams import sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """Every step counts as one of a backlog; those that were begun behind another one."""
    monkeypatch.setattr("lakehouse.lake.steps.MANY_ROWS", 1)
    found: list[Step] = []
    ask = SilverWriter.next_step

    def asked(self: SilverWriter, max_rows: int, behind: Step | None = None) -> Step | None:
        step = ask(self, max_rows, behind)
        if behind is not None and step is not None:
            found.append(step)
        return step

    monkeypatch.setattr(SilverWriter, "next_step", asked)
    return found


def test_two_drains_that_run_ahead_leave_each_row_once(
    settings: Settings, topic_name: Topic, ahead: list[Step]
) -> None:
    contract = sales_on(settings, topic_name("ahead"))
    sent = send(settings, contract.topic.name, some_records(0, 200))
    small = settings.model_copy(update={"max_batch_rows": 40})
    with ThreadPoolExecutor(2) as threads:
        drains = [threads.submit(drain, contract, small, budget_seconds=240, idle_seconds=0) for _ in range(2)]
        assert sum(each.result().bronze_rows for each in drains) == sent
    assert ahead, "a step was staged while another one was committed"
    assert_whole(contract, settings, sent)
    assert list(staged_files(LakePaths.of(settings).silver(contract.name))) == []


def test_a_step_that_is_refused_takes_the_one_behind_it_back(
    settings: Settings, topic_name: Topic, ahead: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bronze is filled first; then the disk is full when the first step has rejects to write down."""
    contract = sales_on(settings, topic_name("refused"))
    sent = send(settings, contract.topic.name, some_records(0, 200))
    small = settings.model_copy(update={"max_batch_rows": 40})
    with monkeypatch.context() as asleep:
        asleep.setattr(Steps, "merge_next", lambda _: None)
        assert drain(contract, small, budget_seconds=240, idle_seconds=0).silver_rows == 0

    def refuse(*_: object) -> None:
        raise DiskFullError("The disk is full.")

    with monkeypatch.context() as full:
        full.setattr("lakehouse.lake.silver.record_rejects", refuse)
        with pytest.raises(DiskFullError):
            drain(contract, small, budget_seconds=240, idle_seconds=0)
    silver = LakePaths.of(settings).silver(contract.name)
    assert len(ahead) == 1, "the step behind it was begun"
    assert (merged_through(silver), list(staged_files(silver))) == (-1, [])
    drain(contract, small, budget_seconds=240, idle_seconds=0)
    assert len(ahead) > 2
    assert_whole(contract, settings, sent)
