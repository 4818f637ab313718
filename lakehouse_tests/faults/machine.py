"""A stream under fire: Hypothesis sends, drains, kills, compacts and backfills in random order, and looks each time.

Here: what may happen and the checks between. Not here: what is sent (`machine_events`), what must be there
(`machine_model`), how many examples (`test_machine`).
"""

import itertools
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lakehouse.contracts.model import Mode
from lakehouse.engine import crash
from lakehouse.engine.crash import DRAIN_POINTS
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.maintenance import compaction_plan
from lakehouse.lake.maintenance.upkeep import maintain_stream
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rebuild.backfill import rebuild_silver
from lakehouse.settings import Settings
from lakehouse_tests.conftest import isolated
from lakehouse_tests.faults.machine_events import Event, events, small_contract
from lakehouse_tests.faults.machine_model import Model, Place, assert_tables_agree
from lakehouse_tests.faults.story import assert_whole, start_worker

_numbers = itertools.count(1)
_batches = st.lists(events(), min_size=3, max_size=10)
_points = st.sampled_from(DRAIN_POINTS)
_batch_rows = st.sampled_from([1_000, 4, 2])
_passes = st.integers(1, 2)


class StoppedError(BaseException):
    """What a crash point does to a drain in this process, which cannot be killed."""


@contextmanager
def stopping_at(point: str, nth: int) -> Iterator[None]:
    """Let the crash point end the work of whichever thread passes it, as an interruption would."""

    def stop(*_: object) -> None:
        raise StoppedError(point)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_CRASH_AT", f"{point}:{nth}")
        patch.setattr(crash, "_passed", {})
        patch.setattr(crash, "os", SimpleNamespace(environ=os.environ, getpid=os.getpid, kill=stop))
        with suppress(StoppedError):
            yield


class StreamMachine(RuleBasedStateMachine):
    """One stream on an empty lake and a topic of its own. Subclasses say in which mode.

    Attributes:
        mode: Of the stream.
        stack: The running broker and Spark; the test sets it.
    """

    mode: ClassVar[Mode]
    stack: ClassVar[Settings]

    def __init__(self) -> None:
        super().__init__()
        self._exit = ExitStack()
        self._folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="lakehouse-machine-")))
        self._settings = self._exit.enter_context(isolated(self.stack, self._folder / "home"))
        self._contract = small_contract(f"machine_{self.mode}_{os.getpid()}_{next(_numbers)}", self.mode)
        self._paths = LakePaths.of(self._settings)
        apply_topics(self._settings, desired_topics([self._contract]))
        self._start = datetime.now(UTC)
        self._model = Model(self.mode, self._start, {})

    # What producers do.

    @initialize(batch=_batches)
    def send_first(self, batch: list[Event]) -> None:
        self.send(batch)

    @rule(batch=_batches)
    def send(self, batch: list[Event]) -> None:
        self._model.sent |= self._produce(batch)

    @precondition(lambda self: self._model.sent)
    @rule(number=st.integers(0, 10_000), amount=st.integers(10, 19), partition=st.integers(0, 1))
    def send_again(self, number: int, amount: int, partition: int) -> None:
        """One of the earlier records once more, and once more corrected: the same time, another amount."""
        sent = list(self._model.sent.values())
        again = sent[number % len(sent)]
        corrected = Event("plain", partition, again.key, again.minutes, amount)
        self._model.sent |= self._produce([again, corrected])

    @rule(batch=st.lists(events(), min_size=1, max_size=3), commit=st.booleans())
    def send_in_a_transaction(self, batch: list[Event], commit: bool) -> None:
        """An aborted one is invisible; either way the topic ends in markers, offsets without a record."""
        visible = self._produce(batch, transaction="commit" if commit else "abort")
        self._model.sent |= visible if commit else {}

    # What the pipeline does.

    @rule(batch_rows=_batch_rows)
    def drain(self, batch_rows: int) -> None:
        self._drain(batch_rows)

    @rule(point=_points, nth=_passes, batch_rows=_batch_rows)
    def stop_a_drain(self, point: str, nth: int, batch_rows: int) -> None:
        with stopping_at(point, nth):
            self._drain(batch_rows)

    @rule(point=_points, nth=_passes, beside=st.booleans())
    def kill_a_worker(self, point: str, nth: int, beside: bool) -> None:
        """SIGKILL at a crash point, unless there is too little to do to reach it; perhaps while another one drains."""
        worker = start_worker(self._contract, self._folder, crash_at=f"{point}:{nth}", batch_rows=4)
        if beside:
            self._drain(4)
        output = worker.communicate(timeout=200)[0]
        assert worker.returncode in {0, -signal.SIGKILL}, output

    # What people and schedules do.

    @rule()
    def maintain(self) -> None:
        """Compaction of every day that has two files, purging, vacuum, the log."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compaction_plan, "ENOUGH_SMALL", 2)
            maintain_stream(self._contract, self._settings)

    @rule(days_ago=st.integers(0, 2))
    def backfill(self, days_ago: int) -> None:
        rebuild_silver(self._contract, self._settings, [(self._start - timedelta(days=days_ago)).date()])

    # What must be true at any time.

    @invariant()
    def tables_agree_with_the_model(self) -> None:
        assert_tables_agree(self._model, self._paths, self._contract.name)

    def teardown(self) -> None:
        """Unless a step failed: after one more drain every record is accounted for, and `verify` says the same."""
        try:
            if sys.exc_info()[0] is None:
                proof = assert_whole(self._contract, self._settings, len(self._model.sent))
                self.tables_agree_with_the_model()
                reasons = [event.reason for event in self._model.sent.values()]
                assert proof.quarantined == len(reasons) - reasons.count("")
        finally:
            self._exit.close()

    def _drain(self, batch_rows: int) -> None:
        small = self._settings.model_copy(update={"max_batch_rows": batch_rows})
        drain(self._contract, small, budget_seconds=240, idle_seconds=0)

    def _produce(self, batch: list[Event], transaction: str = "") -> dict[Place, Event]:
        """Send and wait for the broker's word; where each event landed."""
        from confluent_kafka import Producer

        config = producer_config(self._settings) | {"message.max.bytes": 6 << 20, "compression.type": "none"}
        if transaction:
            config |= {"transactional.id": f"machine-{os.getpid()}-{next(_numbers)}", "delivery.timeout.ms": 30_000}
        producer = Producer(config)
        landed: dict[Place, Event] = {}

        def note(event: Event) -> Any:
            def delivered(error: object, message: Any) -> None:
                assert error is None, error
                landed[Place(message.partition(), message.offset())] = event

            return delivered

        if transaction:
            producer.init_transactions()
            producer.begin_transaction()
        for event in batch:
            value = event.value(self._start)
            producer.produce(
                self._contract.topic.name, partition=event.partition, key=b"k", value=value, on_delivery=note(event)
            )
        assert producer.flush(60) == 0
        if transaction == "commit":
            producer.commit_transaction()
        if transaction == "abort":
            producer.abort_transaction()
        assert len(landed) == len(batch)
        return landed


class Upserts(StreamMachine):
    """The latest reading of a meter and day wins."""

    mode = "upsert"


class Appends(StreamMachine):
    """The first reading of a meter and day stays."""

    mode = "append"
