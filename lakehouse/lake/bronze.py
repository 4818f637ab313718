"""Bronze: micro-batches from Kafka into an append-only Delta table, each exactly once.

Here: asking what comes next, writing its files, committing them under its batch number. Not here: the arithmetic of
plans (`lake.planner`), the read (`lake.records`), the loop (`lake.drain`).
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.engine.spark import MANY_ROWS_AGAIN, expect_rows, spark_errors
from lakehouse.errors import BatchConflictError
from lakehouse.kafka.offsets import TopicReader, TopicState
from lakehouse.kafka.timestamps import first_timestamps
from lakehouse.lake.guards.durable import settle
from lakehouse.lake.guards.locks import bronze_lock, exclusive
from lakehouse.lake.ledger import Commit, commit_at, current_version, last_plan
from lakehouse.lake.log.append import append
from lakehouse.lake.log.staging import stage_rows, staging_folder
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.plan import Offsets, Plan
from lakehouse.lake.planner import WAIT_SECONDS, next_plan, resume_points, within_rate
from lakehouse.lake.records import RecordReader
from lakehouse.lake.reports import BatchReport
from lakehouse.lake.tally import oldest_age
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Of these the log has statistics: of payloads they would cost time and copy personal data.
_STATS = ("partition", "offset", "timestamp", "batch")
_HARDLY_REPEATING = ("key", "value", "offset", "timestamp")
_LOCK_SECONDS = 900.0
# What the Kafka source says when planned offsets do not exist any more.
_RECORDS_GONE = ("Some data may have been lost", "OffsetOutOfRangeException")


def midnight(day: date) -> datetime:
    """The first moment of a day, UTC."""
    return datetime.combine(day, time_of_day.min, UTC)


def today() -> date:
    """The current day, UTC."""
    return datetime.now(UTC).date()


def commit_plan(plan: Plan, folder: Path | None, settings: Settings) -> Commit:
    """Put a plan into its stream's bronze, right behind its predecessor.

    Args:
        plan: The plan.
        folder: A staging folder with its rows; None when it has none.
        settings: Lake and locks.

    Raises:
        BatchConflictError: another writer took this batch number; nothing was written, plan again.
        DiskFullError: as it says; likewise.
    """
    path = LakePaths.of(settings).bronze(plan.stream)
    with exclusive(bronze_lock(settings, plan.stream), _LOCK_SECONDS):
        version, known = current_version(path) or 0, last_plan(path)
        if known is not None and (known[0].batch, known[0].writer) == (plan.batch, plan.writer):
            # This very attempt got there, and whoever made it did not hear of it.
            return known[1]
        if (known[0].batch if known else -1) != plan.batch - 1:
            raise BatchConflictError(
                f"Batch {plan.batch} of stream {plan.stream} was committed by another writer.",
                why="Two drains ran at once, or this one was asleep for a while.",
                fix="Nothing: it plans again from what is committed.",
            )
        transaction = (plan.app_id, plan.batch)
        made = append(Path(path), folder, version, plan.to_metadata(), transaction=transaction, stats=_STATS)
    return commit_at(path, made)


@dataclass(frozen=True)
class StagedBatch:
    """A micro-batch whose files are written and not committed.

    `waiting` is what waited when it was planned, in offsets; `began` is of the monotonic clock.
    """

    plan: Plan
    waiting: int
    folder: Path
    began: float


class BronzeWriter:
    """Takes one stream's micro-batches. Holds no state that matters: the Delta log is asked before every batch."""

    def __init__(
        self, contract: StreamContract, settings: Settings, spark: "SparkSession", topics: TopicReader
    ) -> None:
        self._contract = contract
        self._settings = settings
        self._spark = spark
        self._topics = topics
        self._path = LakePaths.of(settings).bronze(contract.name)
        self._reader = RecordReader(contract, settings, spark)
        # The day that all unread records are known to belong to; a hint that saves asking the broker.
        self._current_day: date | None = None

    def plan(self, max_rows: int, behind: Plan | None = None) -> tuple[Plan | None, int]:
        """The next micro-batch, or None when nothing waits; with it the offsets that wait in all.

        Args:
            max_rows: Offsets that it has at most.
            behind: The micro-batch that it follows; by default the last committed one.

        Raises:
            Stop: one of the typed refusals of `planner.resume_points`.
        """
        last = behind
        if last is None and (known := last_plan(self._path)):
            last = known[0]
        before = today()
        state = self._topics.state(self._contract.topic.name)
        if today() != before:
            return self.plan(max_rows, behind)
        start = resume_points(self._contract.name, last, state)
        waiting = sum(state.end[p] - start[p] for p in start)
        if waiting == 0:
            return None, 0
        day, end = self._day_and_end(state, start, before)
        end = self._within_rate(state, start, end)
        plan = next_plan(self._contract.name, last, state, end=end, day=day, max_rows=max_rows, writer=uuid.uuid4().hex)
        return plan, waiting

    def _within_rate(self, state: TopicState, start: Offsets, end: Offsets) -> Offsets:
        """The end offsets that the rate per partition allows; the broker is asked only about long backlogs."""
        rate = self._settings.max_rate_per_partition
        long = {p: start[p] for p in start if end.get(p, 0) - start[p] > rate * WAIT_SECONDS}
        if not rate or not long:
            return end
        now = datetime.now(UTC)
        oldest = first_timestamps(self._settings, state.topic, long)
        return within_rate(start, end, {p: (now - moment).total_seconds() for p, moment in oldest.items()}, rate)

    @contextmanager
    def staged(self, plan: Plan, waiting: int) -> Iterator[StagedBatch]:
        """The plan's records in files, within the block; no reader of the table knows of them.

        Raises:
            SparkUnreachableError: Spark went away.
            PySparkException: with planned records that are not there any more, see `lost_records_named`.
        """
        began = time.monotonic()
        with staging_folder(self._path) as folder:
            rows = self._reader.read(plan).drop("arrival_date")
            with spark_errors():
                expect_rows(self._spark, plan.span, many=MANY_ROWS_AGAIN)
            # Of one arrival day all of them, so nothing is left to divide them by.
            day = folder / f"arrival_date={plan.day}"
            stage_rows(rows, day, [], fetch=False, without_dictionary=_HARDLY_REPEATING)
            yield StagedBatch(plan, waiting, folder, began)

    def commit(self, batch: StagedBatch) -> BatchReport:
        """Put a staged batch into the table, right behind its predecessor.

        Raises:
            BatchConflictError: another writer took this batch number; nothing was written, plan again.
            DiskFullError: as it says; likewise.
        """
        plan = batch.plan
        crash_point("before_bronze_commit")
        commit = commit_plan(plan, batch.folder, self._settings)
        crash_point("after_bronze_commit")
        settle(self._path, commit, self._settings)
        return BatchReport(
            layer="bronze",
            stream=plan.stream,
            batch=plan.batch,
            rows=int(commit.metrics["numOutputRows"]),
            day=plan.day,
            seconds=time.monotonic() - batch.began,
            delta_version=commit.version,
            committed_at=commit.committed_at.timestamp(),
            offsets=plan.ranges,
            lag_rows=max(0, batch.waiting - plan.span),
            latency_seconds=oldest_age(commit) or 0.0,
        )

    def _day_and_end(self, state: TopicState, start: Offsets, now: date) -> tuple[date, Offsets]:
        """The arrival day of the oldest unread record and the offsets where that day ends."""
        if self._current_day == now:
            return now, dict(state.end)
        unread = {p: offset for p, offset in start.items() if offset < state.end[p]}
        oldest = first_timestamps(self._settings, state.topic, unread)
        day = min(now, min((moment.date() for moment in oldest.values()), default=now))
        if day == now:
            self._current_day = now
            return now, dict(state.end)
        end = self._topics.offsets_at(state.topic, midnight(day + timedelta(days=1)))
        # Timestamps that run backwards (a producer's clock, a broker's jump) must not hide records for ever.
        return day, end if any(end.get(p, 0) > start[p] for p in start) else dict(state.end)

    @contextmanager
    def lost_records_named(self, plan: Plan) -> Iterator[None]:
        """When Spark misses records that were planned, ask the broker again: its answer is the typed stop.

        Raises:
            BatchConflictError: they went between plan and read; plan again.
            ResumePointGoneError, TopicRecreatedError: they went for good.
        """
        from pyspark.errors import PySparkException

        try:
            yield
        except PySparkException as error:
            if not any(mark in str(error) for mark in _RECORDS_GONE):
                raise
            known = last_plan(self._path)
            resume_points(plan.stream, known[0] if known else None, self._topics.state(self._contract.topic.name))
            raise BatchConflictError(
                f"Records of batch {plan.batch} of stream {plan.stream} went between plan and read.",
                why="Nothing of it was read before, or the broker has them again.",
                fix="Nothing: it plans again from what the broker has.",
            ) from error
