"""A drain: take a stream's backlog into bronze and silver, batch by batch, until it is gone or the time is up.

Here: the loop, its two halves (bronze in the caller's thread, silver in its own) and why it ends. Not here: what a
batch is (`lake.bronze`, `lake.silver`). Any number of drains of one stream may run at once: batch numbers make all but
one of them lose every race, without harm.
"""

import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import date

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.engine.spark import connect
from lakehouse.errors import BatchConflictError, LakehouseError
from lakehouse.kafka.offsets import TopicReader
from lakehouse.lake.bronze import BronzeWriter
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.durable import settled
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.guards.locks import exclusive, silver_lock
from lakehouse.lake.in_flight import InFlight
from lakehouse.lake.ledger import last_plan
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.plan import Plan
from lakehouse.lake.proofs.damage import require_sound
from lakehouse.lake.rebuild.reread import read_rows_anew
from lakehouse.lake.reports import BatchReport, DrainSummary, StopReason
from lakehouse.lake.schema.registered import look_at_registry
from lakehouse.lake.schema.tables import ensure_tables
from lakehouse.lake.silver import SilverWriter
from lakehouse.lake.steps import Steps
from lakehouse.settings import Settings

_POLL_SECONDS = 0.05
# From the begin of a micro-batch that left nothing waiting to the next: silver is to have some of the machine, too.
_REST_SECONDS = 0.4
_FLUSH_SECONDS = 10.0
_LOCK_SECONDS = 900.0


def drain(
    contract: StreamContract,
    settings: Settings,
    *,
    budget_seconds: float,
    idle_seconds: float,
    day: date | None = None,
    report: Callable[[BatchReport], None] = lambda _: None,
    another_lake: bool = False,
) -> DrainSummary:
    """Drain one stream.

    Args:
        contract: The stream.
        settings: Lake, brokers and Spark.
        budget_seconds: End after this time, even with a backlog; the batch at hand is finished.
        idle_seconds: End when nothing new came for this time and silver has caught up.
        day: Take only records that arrived up to this day (UTC).
        report: Called in the caller's thread after each commit.
        another_lake: The caller means the lake at the root, although the state folder has worked on another one.

    Returns:
        Counts and the reason of the end.

    Raises:
        Stop: a typed refusal; everything committed before it stays.
    """
    require_lake(settings, another_lake=another_lake)
    require_sound(contract.name, LakePaths.of(settings))
    return _Drain(contract, settings, report).run(budget_seconds, idle_seconds, day)


class _Drain:
    def __init__(
        self,
        contract: StreamContract,
        settings: Settings,
        report: Callable[[BatchReport], None],
    ) -> None:
        self._contract = contract
        self._settings = settings
        self._report = report
        self._paths = LakePaths.of(settings)
        self._outbox: queue.SimpleQueue[BatchReport] = queue.SimpleQueue()
        self._facts: list[Fact] = []
        self._flushed = time.monotonic()
        self._bronze_committed = threading.Event()
        self._bronze_ended = threading.Event()
        self._abandon = threading.Event()
        self._silver_failure: BaseException | None = None
        self._counts = {"batches": 0, "bronze_rows": 0, "silver_rows": 0, "rejected": 0}

    def run(self, budget_seconds: float, idle_seconds: float, day: date | None) -> DrainSummary:
        began = time.monotonic()
        spark = connect(self._settings.spark_remote)
        silver = threading.Thread(target=self._silver_loop, name=f"silver-{self._contract.name}")
        with TopicReader(self._settings) as topics:
            try:
                name, paths = self._contract.name, self._paths
                warnings = look_at_registry(self._contract, self._settings, paths)
                with settled(self._settings, paths.bronze(name), paths.silver(name), paths.quarantine(name)):
                    with exclusive(silver_lock(self._settings, name), _LOCK_SECONDS):
                        ensure_tables(spark, self._contract, paths)
                    read_rows_anew(spark, self._contract, self._settings, paths)
                silver.start()
                writer = BronzeWriter(self._contract, self._settings, spark, topics)
                reason = self._bronze_loop(writer, began + budget_seconds, idle_seconds, day)
                self._bronze_ended.set()
                self._bronze_committed.set()
                while silver.is_alive():
                    silver.join(timeout=_POLL_SECONDS)
                    self._deliver()
            finally:
                self._abandon.set()
                self._bronze_committed.set()
                if silver.is_alive():
                    silver.join()
                self._deliver()
                spark.stop()
                # Of two failures the first one is told; what is lost with the second are facts for people.
                has_failed = sys.exc_info()[0] is not None or self._silver_failure is not None
                with suppress(Exception) if has_failed else nullcontext():
                    self._flush()
            if self._silver_failure is not None:
                raise self._silver_failure
            known = last_plan(self._paths.bronze(self._contract.name))
            if known is not None:
                # Nothing reads it back: a live member of that group, or a broker that just went away, fails no drain.
                with suppress(LakehouseError):
                    topics.commit_group(self._contract.consumer_group, self._contract.topic.name, known[0].end)
        return DrainSummary(
            stream=self._contract.name,
            batches=self._counts["batches"],
            bronze_rows=self._counts["bronze_rows"],
            silver_rows=self._counts["silver_rows"],
            rejected=self._counts["rejected"],
            seconds=time.monotonic() - began,
            reason=reason,
            last_batch=known[0].batch if known else -1,
            warnings=tuple(warnings),
        )

    def _bronze_loop(self, writer: BronzeWriter, deadline: float, idle_seconds: float, day: date | None) -> StopReason:
        """Begin and commit micro-batches; what was begun when a reason to end came is committed first."""
        idle_since = time.monotonic()
        reason: StopReason | None = None
        rested_at = idle_since
        with InFlight(writer) as batches:
            while True:
                if time.monotonic() >= deadline:
                    reason = reason or "budget"
                if reason is None and batches.has_room and time.monotonic() >= rested_at:
                    plan, waiting = self._plan(writer, batches)
                    if plan is not None and day is not None and plan.day > day:
                        reason = "midnight"
                    elif plan is not None:
                        crash_point("after_plan")
                        batches.begin(plan, waiting)
                        # Of a backlog the next is begun at once.
                        rested_at = time.monotonic() + (_REST_SECONDS if waiting <= plan.span else 0.0)
                        continue
                if batches:
                    self._commit(batches)
                    idle_since = time.monotonic()
                elif reason is not None:
                    return reason
                elif (rest := rested_at - time.monotonic()) > 0:
                    time.sleep(rest)
                else:
                    self._deliver()
                    if time.monotonic() - idle_since >= idle_seconds:
                        return "idle"
                    time.sleep(_POLL_SECONDS)

    def _plan(self, writer: BronzeWriter, batches: InFlight) -> tuple[Plan | None, int]:
        try:
            return writer.plan(self._settings.max_batch_rows, batches.newest)
        except LakehouseError:
            # What was begun is committed first. If it is no passing trouble, it is met again behind that.
            if batches:
                return None, 0
            raise

    def _commit(self, batches: InFlight) -> None:
        # Whoever came second plans again.
        with suppress(BatchConflictError):
            self._outbox.put(batches.commit())
            crash_point("between_bronze_and_silver")
            self._bronze_committed.set()
            self._deliver()

    def _silver_loop(self) -> None:
        """Merge whatever bronze has, until bronze ended and nothing is left. A failure is kept for the caller."""
        try:
            spark = connect(self._settings.spark_remote)
            try:
                writer = SilverWriter(self._contract, self._settings, spark)
                writer.catch_up_history()
                with Steps(writer, self._settings.max_batch_rows) as steps:
                    self._merge_all(steps)
            finally:
                spark.stop()
        except BaseException as failure:  # noqa: BLE001 - handed to the caller's thread, which raises it
            self._silver_failure = failure

    def _merge_all(self, steps: Steps) -> None:
        while not self._abandon.is_set():
            ended = self._bronze_ended.is_set()
            self._bronze_committed.clear()
            try:
                done = steps.merge_next()
            except BatchConflictError:
                continue
            if done is not None:
                self._outbox.put(done)
            elif ended:
                return
            else:
                self._bronze_committed.wait(timeout=1.0)

    def _deliver(self) -> None:
        while not self._outbox.empty():
            done = self._outbox.get()
            self._facts.append(Fact.of_batch(done))
            if done.layer == "bronze":
                self._counts["batches"] += 1
                self._counts["bronze_rows"] += done.rows
            else:
                self._counts["silver_rows"] += done.rows
                self._counts["rejected"] += done.rejected
            self._report(done)
        if time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        """Write the facts gathered so far."""
        self._flushed = time.monotonic()
        facts, self._facts = self._facts, []
        write_facts(self._paths, facts)
