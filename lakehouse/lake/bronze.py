"""Bronze: micro-batches from Kafka into an append-only Delta table, each exactly once.

Here: asking what comes next, appending it under its batch number, reading the commit back. Not here: the arithmetic of
plans (`lake.planner`), the loop (`lake.drain`).
"""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.engine.spark import expect_rows, spark_errors
from lakehouse.errors import BatchConflictError
from lakehouse.kafka.client import spark_options
from lakehouse.kafka.offsets import TopicReader, TopicState
from lakehouse.kafka.timestamps import first_timestamps
from lakehouse.lake.guards.durable import settle
from lakehouse.lake.ledger import Commit, last_plan
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.plan import Offsets, Plan
from lakehouse.lake.planner import WAIT_SECONDS, next_plan, resume_points, within_rate
from lakehouse.lake.reports import BatchReport
from lakehouse.lake.tally import oldest_age
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

# Larger fetches than Kafka's defaults, but each partition's consumer keeps one fetched ahead: 16 MiB filled the heap.
_FETCH = {
    "kafka.max.poll.records": "5000",
    "kafka.max.partition.fetch.bytes": str(4 << 20),
    "kafka.fetch.max.bytes": str(32 << 20),
    # At the log's end a fetch ahead is in flight; the next micro-batch would wait for it, 500 ms by default.
    "kafka.fetch.max.wait.ms": "5",
    "kafka.isolation.level": "read_committed",
    "failOnDataLoss": "true",
    "includeHeaders": "true",
}
_ROWS_PER_FILE = 60_000
# What the Kafka source says when planned offsets do not exist any more.
_RECORDS_GONE = ("Some data may have been lost", "OffsetOutOfRangeException")


def midnight(day: date) -> datetime:
    """The first moment of a day, UTC."""
    return datetime.combine(day, time_of_day.min, UTC)


def today() -> date:
    """The current day, UTC."""
    return datetime.now(UTC).date()


def _constant(literal: "Column") -> "Column":
    """A literal that differs from batch to batch, as data instead of as part of the generated code.

    Spark writes plain numbers and times into the code of a query: each batch would be compiled, and warmed up, as a new
    program. An element of a constant array is looked up; the index is always 0, but the optimizer cannot know.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    return F.get(F.array(literal), F.least(F.col("partition"), F.lit(0)))


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
        # The day that all unread records are known to belong to; a hint that saves asking the broker.
        self._current_day: date | None = None
        self._reader_id = uuid.uuid4().hex

    def plan(self, max_rows: int) -> tuple[Plan | None, int]:
        """The next micro-batch, or None when nothing waits; with it the offsets that wait in all.

        Raises:
            Stop: one of the typed refusals of `planner.resume_points`.
        """
        known = last_plan(self._path)
        last = known[0] if known else None
        before = today()
        state = self._topics.state(self._contract.topic.name)
        if today() != before:
            return self.plan(max_rows)
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

    def append(self, plan: Plan, waiting: int = 0) -> BatchReport:
        """Write one plan and make sure that it is the one that was committed.

        Raises:
            BatchConflictError: another writer committed this batch number first; nothing was written, plan again.
            ResumePointGoneError, TopicRecreatedError: the records went between plan and read; nothing was written.
            SparkUnreachableError: Spark went away; the batch may or may not be committed, the next plan will tell.
        """
        began = time.monotonic()
        with self._lost_records_named(plan), spark_errors():
            rows = self.read(plan) if plan.gap is None else self._nothing()
            expect_rows(self._spark, plan.span)
            (
                rows.write.format("delta")
                .mode("append")
                .option("txnAppId", plan.app_id)
                .option("txnVersion", str(plan.batch))
                .option("userMetadata", plan.to_json())
                .save(self._path)
            )
        crash_point("after_bronze_commit")
        commit = self._read_back(plan)
        settle(self._path, commit, self._settings)
        return BatchReport(
            layer="bronze",
            stream=plan.stream,
            batch=plan.batch,
            rows=int(commit.metrics.get("numOutputRows", plan.span)),
            day=plan.day,
            seconds=time.monotonic() - began,
            delta_version=commit.version,
            committed_at=commit.committed_at.timestamp(),
            offsets=plan.ranges,
            lag_rows=max(0, waiting - plan.span),
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

    def read(self, plan: Plan) -> "DataFrame":
        """The records of a plan as rows of bronze; lazy."""
        from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

        topic = self._contract.topic.name
        ranges = plan.ranges
        records = (
            self._spark.read.format("kafka")
            .options(**spark_options(self._settings), **_FETCH)
            .option("kafka.group.id", self._reader_group(plan))
            .option("assign", json.dumps({topic: sorted(ranges)}))
            .option("startingOffsets", json.dumps({topic: {str(p): r[0] for p, r in ranges.items()}}))
            .option("endingOffsets", json.dumps({topic: {str(p): r[1] for p, r in ranges.items()}}))
            .load()
        )
        rows = records.select(
            F.lit(plan.topic_id).alias("topic_id"),
            "partition",
            "offset",
            "timestamp",
            F.col("timestampType").alias("timestamp_type"),
            "key",
            "value",
            "headers",
            _constant(F.lit(plan.batch).cast("bigint")).alias("batch"),
            # Not F.lit(datetime): it asks the thread's first session about time zones, which may be gone.
            _constant(F.timestamp_micros(F.lit(time.time_ns() // 1_000))).alias("_ingested_at"),
            F.lit(f"kafka://{topic}").alias("_source_file"),
            F.lit(plan.day).alias("arrival_date"),
        )
        files = -(-plan.span // _ROWS_PER_FILE)
        return rows.coalesce(files) if files < len(ranges) else rows

    @contextmanager
    def _lost_records_named(self, plan: Plan) -> Iterator[None]:
        """When Spark misses records that were planned, ask the broker again: its answer is the typed stop."""
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

    def _nothing(self) -> "DataFrame":
        return self._spark.read.format("delta").load(self._path).limit(0)

    def _reader_group(self, plan: Plan) -> str:
        """Name under which Spark's executors keep their consumers from one micro-batch to the next.

        Not a consumer group that commits offsets. It is this writer's alone and the topic generation's alone: what was
        fetched ahead from a topic that was deleted since can never be taken for records of its successor.
        """
        return f"lakehouse-reader-{plan.stream}-{plan.topic_id}-{self._reader_id}"

    def _read_back(self, plan: Plan) -> Commit:
        known = last_plan(self._path)
        if known is None or known[0].batch != plan.batch or known[0].writer != plan.writer:
            raise BatchConflictError(
                f"Batch {plan.batch} of stream {plan.stream} was committed by another writer.",
                why="Two drains ran at once, or this one was asleep for a while.",
                fix="Nothing: it plans again from what is committed.",
            )
        return known[1]
