"""Sending events to one topic: idempotent, with back-pressure, counted, stopped cleanly by Ctrl-C or SIGTERM.

Here: the producer around librdkafka, the sending loop, its summary. Not here: which events (`sources.sales`,
`sources.files`), client settings (`kafka.client`, `sources.config`).
"""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from types import FrameType
from typing import Any

from lakehouse.errors import EXIT_COULD_NOT_ASK, EXIT_INTERRUPTED, EXIT_OK, LakehouseError, UsageError
from lakehouse.kafka.client import unreachable
from lakehouse.settings import Settings
from lakehouse.sources.pacing import Pacer

Message = tuple[str | None, bytes | None]
"""(key, value); a value of None is a tombstone"""

# A turn of its own for each of 10,000 events/s costs a third of a core.
PACED_SECONDS = 0.001
BURST_CHUNK = 2_000
STATS_INTERVAL_SECONDS = 5.0
_SLICE_SECONDS = 0.5


@dataclass(frozen=True)
class Summary:
    """How a run of a producer ended.

    Attributes:
        sent: Events that the broker acknowledged.
        failed: Events that it did not take.
        seconds: From the first event to the last acknowledgement.
        interrupted: A signal ended the run before its count was reached.
        first_error: Why the first failed event failed.
    """

    sent: int
    failed: int
    seconds: float
    interrupted: bool = False
    first_error: str = ""

    @property
    def events_per_second(self) -> float:
        """Achieved rate."""
        return self.sent / self.seconds if self.seconds > 0 else 0.0

    @property
    def exit_code(self) -> int:
        """1 when any event failed, 130 when a signal cut a counted run short, else 0."""
        if self.failed:
            return EXIT_COULD_NOT_ASK
        return EXIT_INTERRUPTED if self.interrupted else EXIT_OK


class EventSender:
    """One producer on one topic.

    Only failed deliveries are called back, which halves the cost per event: an event that has left the queue without a
    failure was acknowledged.

    Raises:
        UsageError: when librdkafka refuses a property, naming it.
    """

    def __init__(self, settings: Settings, topic: str, client: dict[str, object]) -> None:
        from confluent_kafka import KafkaException, Producer

        self._settings = settings
        self._topic = topic
        self._queued = 0
        self._failed = 0
        self._delivery_failures = 0
        self.first_error = ""
        config = client | {"on_delivery": self._on_failure, "delivery.report.only.error": True}
        try:
            self._producer = Producer(config)
        except KafkaException as error:
            raise UsageError(
                f"The producer's settings are not possible: {error.args[0].str()}.",
                fix="Correct the `producer` part of the --config file.",
            ) from error

    def send(self, messages: Sequence[Message]) -> None:
        """Queue the messages in order; waits while the queue is full."""
        from confluent_kafka import KafkaError

        batch: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in messages]
        while batch:
            self._queued += self._producer.produce_batch(self._topic, batch)
            refused = [message for message in batch if "_error" in message]
            batch = []
            for message in refused:
                error = message.pop("_error")
                if error.code() == KafkaError._QUEUE_FULL:
                    batch.append(message)
                else:
                    self._count_failure(error.str())
            self._producer.poll(_SLICE_SECONDS if batch else 0)

    def settle(self) -> None:
        """Wait until every queued message was acknowledged or has failed, at the latest after its delivery timeout."""
        # In slices, so that a second Ctrl-C is heard in between.
        while self._producer.flush(_SLICE_SECONDS):
            pass

    @property
    def waiting(self) -> int:
        """Messages that were neither acknowledged nor failed so far."""
        return len(self._producer)

    @property
    def failed(self) -> int:
        """Messages that were not delivered."""
        return self._failed

    @property
    def sent(self) -> int:
        """Messages that the broker acknowledged; exact once settled."""
        return max(0, self._queued - self._delivery_failures - self.waiting)

    def _on_failure(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._delivery_failures += 1
            self._count_failure(error.str())

    def _count_failure(self, reason: str) -> None:
        self._failed += 1
        self.first_error = self.first_error or reason

    def raise_if_failed(self, what: str) -> None:
        """Turn failed deliveries into an error.

        Raises:
            BrokerUnreachableError: when they timed out.
            LakehouseError: when the broker refused them.
        """
        if not self._failed:
            return
        why = f"{self._failed} events failed while sending {what}: {self.first_error}."
        if "timed out" in self.first_error.lower():
            raise unreachable(self._settings, why=why)
        raise LakehouseError(why, fix=f"Look at the topic with `lakehouse topics describe {self._topic}`.")


def run(
    events: Iterable[Message],
    sender: EventSender,
    *,
    interval: float,
    count: int | None,
    stop: threading.Event,
    report: Callable[[str], None],
    chunk: int | None = None,
) -> Summary:
    """Send events until `count` is reached, they end, or `stop` is set; then wait for the acknowledgements.

    Args:
        events: What to send.
        sender: Where to send it.
        interval: Seconds between events; 0 sends as fast as the broker takes them.
        count: How many; None for no end.
        stop: Set by a signal.
        report: Takes a line of statistics every five seconds.
        chunk: Events handed to the client at once; by default those of 1 ms when paced, at least one, else many. 1 for
            a source that waits.
    """
    source = iter(events) if count is None else islice(events, count)
    size = chunk or (BURST_CHUNK if interval == 0 else max(1, round(PACED_SECONDS / interval)))
    pacer = Pacer(interval * size, sleep=stop.wait)
    started = time.monotonic()
    next_report = started + STATS_INTERVAL_SECONDS
    taken = 0
    ended = False
    while not ended:
        pacer.wait()
        if stop.is_set():
            break
        messages = list(islice(source, size))
        ended = len(messages) < size
        taken += len(messages)
        sender.send(messages)
        if time.monotonic() >= next_report:
            next_report += STATS_INTERVAL_SECONDS
            rate = sender.sent / (time.monotonic() - started)
            report(
                f"sent {sender.sent:,} · failed {sender.failed:,} · waiting {sender.waiting:,} · {rate:,.0f} events/s"
            )
    if stop.is_set() and sender.waiting:
        report(f"stopping: waiting for {sender.waiting:,} acknowledgements; Ctrl-C again leaves without them")
    sender.settle()
    return Summary(
        sent=sender.sent,
        failed=sender.failed,
        seconds=time.monotonic() - started,
        interrupted=stop.is_set() and count is not None and taken < count,
        first_error=sender.first_error,
    )


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that is set by the first SIGINT or SIGTERM; a second one raises KeyboardInterrupt at once."""
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
