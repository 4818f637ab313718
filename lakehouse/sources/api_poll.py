"""One round over an HTTP source: every page to its topic, then the watermark.

Here: the order of work. Not here: asking and paging (`sources.http`, `sources.rest`), when it is done (`lakehouse
produce api`, Dagster).
"""

import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

from lakehouse.engine.circuit_notes import kept_breaker
from lakehouse.settings import Settings
from lakehouse.sources.api_config import ApiSource
from lakehouse.sources.http import HttpClient
from lakehouse.sources.producer import EventSender
from lakehouse.sources.rest import Record, Watermarks, highest, messages, pages


@dataclass
class PollTotals:
    """Pages and records that were sent, over all rounds."""

    pages: int = 0
    sent: int = 0


def poll_once(
    settings: Settings,
    source: ApiSource,
    client: HttpClient,
    marks: Watermarks,
    *,
    topic: str,
    producer: dict[str, object],
    totals: PollTotals,
    stop: threading.Event | None = None,
) -> None:
    """Ask for everything since the watermark and send it.

    The watermark moves only after the last page, because pages need not be in its order.

    Args:
        settings: Brokers, and the circuits of the state folder.
        source: What to ask.
        client: Where to ask.
        marks: How far earlier rounds came.
        topic: Where to send.
        producer: librdkafka properties.
        totals: Counted up page by page, so that they are true when a round fails.
        stop: Ends the round after the page under way.

    Raises:
        CircuitOpenError, SourceUnavailableError, SourceRefusedError: as `pages`.
        BrokerUnreachableError, LakehouseError: when the broker did not take a page.
    """
    sender = EventSender(settings, topic, producer)
    brokers = kept_breaker(settings, f"kafka {settings.kafka_bootstrap_servers}")

    def deliver(records: list[Record]) -> None:
        sender.send(messages(records, source))
        sender.settle()
        sender.raise_if_failed(source.url)

    known: Any = marks.read()
    mark = known
    for records in pages(client, source, since=known):
        brokers.call(partial(deliver, records))
        totals.pages += 1
        totals.sent += len(records)
        mark = highest(records, source, mark)
        if stop is not None and stop.is_set():
            return
    if mark is not None and mark != known:
        marks.note(mark)
