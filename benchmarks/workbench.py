"""What every measurement stands on: a stack of its own in a temporary folder, streams on topics of their own, events.

Here: starting, sending, drawing streams. Not here: any measurement.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.engine.embedded import ports
from lakehouse.engine.embedded import stack as embedded
from lakehouse.engine.spark import connect
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.offsets import TopicReader
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.bronze import BronzeWriter
from lakehouse.lake.in_flight import InFlight
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.plan import Plan
from lakehouse.lake.schema.tables import ensure_tables
from lakehouse.lake.silver import SilverWriter
from lakehouse.lake.steps import Steps
from lakehouse.settings import Settings, load_settings
from lakehouse.sources.producer import EventSender, Summary, run
from lakehouse.sources.sales import SalesGenerator

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BAD_SHARE = 0.01
DUPLICATE_SHARE = 0.001
_SEED = 7


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        events: Events of the backlog.
        passes: Times that a backlog is taken, the first being the cold one.
        live_seconds: Measured seconds of the live drain, after `warm_seconds` that do not count.
        history: Bronze batches on one table.
        fact: Rows of the largest table of gold.
        large_backlog: Events of a backlog that is larger than memory.
    """

    events: int
    passes: int
    warm_seconds: int
    live_seconds: int
    history: int
    fact: int
    large_backlog: int = 10_000_000

    @property
    def passes_for_rates(self) -> int:
        """Times that a backlog is taken to learn rows per second: half of them until Java's compilers are done."""
        return 2 * self.passes


FULL = Sizes(events=1_000_000, passes=4, warm_seconds=25, live_seconds=60, history=5_000, fact=10_000_000)
QUICK = Sizes(events=100_000, passes=2, warm_seconds=8, live_seconds=15, history=300, fact=1_000_000)


class Workbench:
    """The running stack, which took `start_seconds` to start, one Spark session, and what the measurements share."""

    def __init__(self, settings: Settings, sizes: Sizes, say: Callable[[str], None], start_seconds: float) -> None:
        self.settings = settings
        self.sizes = sizes
        self.say = say
        self.start_seconds = start_seconds
        self.spark: SparkSession = connect(settings.spark_remote)
        self.sent: Summary | None = None
        self.event_bytes = 0
        self._sales = load_stream("sales")
        self._backlog = self.stream("backlog")

    def stream(self, name: str, topic: str = "") -> StreamContract:
        """The sales contract under another name; on a topic of its own unless `topic` names one that exists."""
        spec = self._sales.topic.model_copy(update={"name": topic or f"bench_{name}"})
        contract = self._sales.model_copy(update={"name": f"bench_{name}", "topic": spec})
        if not topic:
            apply_topics(self.settings, desired_topics([contract]))
        return contract

    def backlog(self, name: str) -> StreamContract:
        """A stream with empty tables whose topic holds the backlog; sends the backlog when that was not done yet."""
        if self.sent is None:
            self.sent = self.fill(self._backlog, self.sizes.events)
        contract = self.stream(name, topic=self._backlog.topic.name)
        ensure_tables(self.spark, contract, self.paths)
        return contract

    @property
    def paths(self) -> LakePaths:
        """Where the tables lie."""
        return LakePaths.of(self.settings)

    def forget_silver(self, contract: StreamContract) -> None:
        """Empty silver and quarantine tables, as if nothing had been merged yet."""
        for path in (self.paths.silver(contract.name), self.paths.quarantine(contract.name)):
            shutil.rmtree(path)
        ensure_tables(self.spark, contract, self.paths)

    def append(self, writer: BronzeWriter, plan: Plan, waiting: int) -> int:
        """Take one micro-batch into bronze; returns its rows."""
        with InFlight(writer) as batches:
            batches.begin(plan, waiting)
            return batches.commit().rows

    def catch_up(self, contract: StreamContract, batch_rows: int = 0) -> int:
        """Take what waits in the stream's topic into bronze as a drain does; returns the rows."""
        taken = 0
        with TopicReader(self.settings) as topics:
            writer = BronzeWriter(contract, self.settings, self.spark, topics)
            with InFlight(writer) as batches:
                while True:
                    plan, waiting = None, 0
                    if batches.has_room:
                        plan, waiting = writer.plan(batch_rows or self.settings.max_batch_rows, batches.newest)
                    if plan is not None:
                        batches.begin(plan, waiting)
                    elif batches:
                        taken += batches.commit().rows
                    else:
                        return taken

    def merge_up(self, contract: StreamContract) -> int:
        """Bring the stream's silver up to its bronze as a drain does; returns the rows that were read."""
        read = 0
        with Steps(SilverWriter(contract, self.settings, self.spark), self.settings.max_batch_rows) as steps:
            while (done := steps.merge_next()) is not None:
                read += done.read
        return read

    def fill(self, contract: StreamContract, count: int) -> Summary:
        """Send events to the stream's topic, as fast as the broker takes them."""
        self.say(f"sending {count:,} events")
        generator = SalesGenerator(seed=_SEED, bad_share=BAD_SHARE, duplicate_share=DUPLICATE_SHARE)
        sample = [event.value for event in islice(SalesGenerator(seed=_SEED), 1_000)]
        self.event_bytes = round(sum(map(len, sample)) / len(sample))
        sender = EventSender(self.settings, contract.topic.name, producer_config(self.settings))
        return run(
            ((event.key, event.value) for event in generator),
            sender,
            interval=0,
            count=count,
            stop=threading.Event(),
            report=lambda _: None,
        )


@contextmanager
def workbench(sizes: Sizes, say: Callable[[str], None]) -> Iterator[Workbench]:
    """Start a stack of its own; removes everything afterwards."""
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder:
        kafka_port = ports.any_free(set())
        home = Path(folder)
        wanted = load_settings(
            LAKEHOUSE_HOME=home,
            LAKEHOUSE_KAFKA_PORT=kafka_port,
            LAKEHOUSE_SPARK_PORT=ports.any_free({kafka_port}),
        )
        say("starting a broker and Spark")
        began = time.monotonic()
        try:
            found = embedded.start(wanted, owner_pid=os.getpid())
            seconds = time.monotonic() - began
            addresses = {entry.name: entry.url for entry in found}
            settings = load_settings(
                LAKEHOUSE_HOME=home,
                LAKEHOUSE_ROOT=str(home / "lake"),
                KAFKA_BOOTSTRAP_SERVERS=addresses["kafka"],
                SPARK_REMOTE=addresses["spark"],
            )
            bench = Workbench(settings, sizes, say, seconds)
            try:
                yield bench
            finally:
                bench.spark.stop()
        finally:
            embedded.stop(wanted)


def environment(settings: Settings) -> dict[str, str]:
    """Variables with which a command works on the bench's stack and lake."""
    return {
        **os.environ,
        "LAKEHOUSE_HOME": str(settings.home),
        "LAKEHOUSE_ROOT": settings.lake_root,
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "SPARK_REMOTE": settings.spark_remote,
    }
