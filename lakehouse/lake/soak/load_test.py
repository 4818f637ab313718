"""A load test: events at a steady rate through Kafka, bronze and silver, then latency percentiles and the proof.

Here: the test of one stream on a topic of its own. Not here: events (`sources`), the proof itself (`lake.verify`).
Its tables are named after the test and lie in the lake of the settings; a scratch lake keeps them out of a real one.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse.sources.pacing import Pacer
from lakehouse.sources.producer import EventSender
from lakehouse.sources.sales import SalesGenerator

_TICKS_PER_SECOND = 20
_LAST_DRAIN_SECONDS = 1_800.0


@dataclass(frozen=True)
class Latency:
    """Seconds that 50, 95 and 99 % of the records, and all, stayed under."""

    p50: float
    p95: float
    p99: float
    most: float


@dataclass(frozen=True)
class LoadReport:
    """What a load test came to.

    Attributes:
        seconds: How long events were sent.
        wanted_rate: Events per second asked for.
        sent: Events that the broker acknowledged.
        failed: Events that it did not take.
        rate: Achieved events per second.
        bronze: Rows in bronze.
        lost: Acknowledged events that bronze lacks.
        doubled: Rows that bronze has more than once.
        batches: Micro-batches.
        to_bronze: From the broker's time of a record to its commit in bronze; None when nothing arrived.
        findings: What `verify` found; empty when exactly-once holds.
    """

    seconds: float
    wanted_rate: float
    sent: int
    failed: int
    rate: float
    bronze: int
    lost: int
    doubled: int
    batches: int
    to_bronze: Latency | None
    findings: list[str]

    @property
    def ok(self) -> bool:
        """Nothing was lost, nothing is there twice, every event was taken."""
        return not (self.lost or self.doubled or self.failed or self.findings)


def load_test(
    contract: StreamContract,
    settings: Settings,
    *,
    seconds: float,
    rate: float,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
) -> LoadReport:
    """Send sales at a rate for a time while a drain takes them, drain the rest, then count and prove.

    Args:
        contract: The sales contract on a topic that nobody else uses.
        settings: Lake, brokers, Spark.
        seconds: How long to send.
        rate: Events per second.
        seed: Of the events.
        say: Takes a line of progress.
    """
    apply_topics(settings, desired_topics([contract]))
    sender = EventSender(settings, contract.topic.name, producer_config(settings))
    stop = threading.Event()
    # The drain is in this thread: Ctrl-C reaches it as it reaches any drain, and with it ends the sending.
    with ThreadPoolExecutor(1, thread_name_prefix="load-test") as senders:
        try:
            sending = senders.submit(_send, sender, seed=seed, seconds=seconds, rate=rate, say=say, stop=stop)
            drain(contract, settings, budget_seconds=seconds, idle_seconds=seconds)
            took = sending.result()
        except BaseException:
            stop.set()
            raise
    say("draining what is left")
    drain(contract, settings, budget_seconds=_LAST_DRAIN_SECONDS, idle_seconds=0)
    say("counting and proving")
    bronze, distinct, batches, latency = _measure(LakePaths.of(settings).bronze(contract.name))
    report = verify(settings, [contract])
    return LoadReport(
        seconds=took,
        wanted_rate=rate,
        sent=sender.sent,
        failed=sender.failed,
        rate=sender.sent / took if took > 0 else 0.0,
        bronze=bronze,
        lost=max(0, sender.sent - distinct),
        doubled=bronze - distinct,
        batches=batches,
        to_bronze=latency,
        findings=[f"{finding.check}: {finding.problem}" for finding in report.findings],
    )


def _send(
    sender: EventSender, *, seed: int, seconds: float, rate: float, say: Callable[[str], None], stop: threading.Event
) -> float:
    """Send at a steady rate, in small portions; memory holds one portion. Returns the seconds that it took."""
    began = time.monotonic()
    events = ((event.key, event.value) for event in SalesGenerator(seed=seed))
    pacer = Pacer(1 / _TICKS_PER_SECOND, sleep=stop.wait)
    deadline, due, reported = began + seconds, 0.0, began
    while time.monotonic() < deadline and not stop.is_set():
        pacer.wait()
        due += rate / _TICKS_PER_SECOND
        portion = int(due)
        due -= portion
        sender.send(list(islice(events, portion)))
        if time.monotonic() - reported >= 5:
            reported = time.monotonic()
            say(f"sent {sender.sent:,} · waiting {sender.waiting:,} · {deadline - reported:.0f} s to go")
    if not stop.is_set():
        sender.settle()
    return time.monotonic() - began


def _measure(bronze: str) -> tuple[int, int, int, Latency | None]:
    """Rows, identities, batches, latency: of each record the commit time of its batch minus the broker's time."""
    from lakehouse.engine.duck import delta_connection
    from lakehouse.lake.ledger import plans

    commits = [(plan.batch, commit.committed_at.timestamp()) for plan, commit in plans(bronze)]
    if not commits:
        return 0, 0, 0, None
    with delta_connection() as duck:
        duck.execute("create temp table commits (batch bigint, committed double)")
        duck.executemany("insert into commits values (?, ?)", commits)
        row = duck.execute(
            'select count(*), count(distinct (topic_id, "partition", "offset")), '
            "quantile_cont(greatest(0, c.committed - epoch(r.timestamp)), [0.5, 0.95, 0.99, 1.0]) "
            "from delta_scan(?) r join commits c using (batch)",
            [bronze],
        ).fetchone()
    if row is None or not row[0]:
        return 0, 0, len(commits), None
    p50, p95, p99, most = (float(value) for value in row[2])
    return int(row[0]), int(row[1]), len(commits), Latency(p50, p95, p99, most)
