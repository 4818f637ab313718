"""A queue that applications keep in a table of PostgreSQL: messages are taken out, sent to a topic, then deleted.

Here: taking messages, the order of work, waiting for new ones. Not here: a table's rows by watermark
(`sources.database`), connecting (`engine.postgres`), the producer (`sources.producer`).

A message is deleted in the transaction that locked it, and only after the broker has acknowledged it: a killed reader
leaves its messages in the queue, and they are sent once more. Readers skip what others hold, so any number of them may
share a queue; then messages of one key keep their order only within a page.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.engine.crash import crash_point
from lakehouse.engine.postgres import again_while_away, connect
from lakehouse.errors import UsageError
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.settings import Settings
from lakehouse.sources.database import qualified, source_address
from lakehouse.sources.producer import EventSender

if TYPE_CHECKING:
    from psycopg import Connection

CHANNEL = "lakehouse_queue"
COLUMNS = ("id", "key", "payload")
# How long a reader that waits may miss a message for which nobody called NOTIFY.
LOOK_SECONDS = 5.0
_SLICE_SECONDS = 0.5


@dataclass
class QueueSummary:
    """Messages that were sent and taken out of the queue; whether a signal ended the run."""

    messages: int = 0
    interrupted: bool = False


def drain_queue(
    settings: Settings,
    *,
    table: str,
    topic: str,
    page: int,
    follow: bool,
    stop: threading.Event,
    report: Callable[[str], None],
) -> QueueSummary:
    """Send the queue's messages until it is empty, or with `follow` until `stop` is set.

    Args:
        settings: The database of LAKEHOUSE_SOURCE_URL, the broker.
        table: `table` or `schema.table` with the columns `id`, `key` and `payload`.
        topic: Where to.
        page: Messages that are locked, sent, acknowledged and deleted together.
        follow: Wait for more; a NOTIFY on `lakehouse_queue` wakes the reader at once.
        stop: Set by a signal; what was sent is deleted before the run ends.
        report: Takes a line of progress.

    Raises:
        UsageError: no database is configured, or it has no such table.
        DatabaseUnreachableError: it did not answer for half a minute.
        BrokerUnreachableError: what was not acknowledged is still in the queue.
    """
    url = source_address(settings)
    # A missing topic is said before anything is locked.
    read_topic_state(settings, topic)
    sender = EventSender(settings, topic, producer_config(settings))
    summary = QueueSummary()
    while not stop.is_set():
        _run(url, qualified(table), page, sender, summary, stop, report, follow)
        if not follow:
            break
    summary.interrupted = stop.is_set() and not follow
    return summary


@again_while_away()
def _run(
    url: str,
    table: str,
    page: int,
    sender: EventSender,
    summary: QueueSummary,
    stop: threading.Event,
    report: Callable[[str], None],
    follow: bool,
) -> None:
    with connect(url) as connection:
        _require_queue(connection, table)
        if follow:
            connection.execute(f"listen {CHANNEL}")
        while not stop.is_set():
            taken = _take(connection, table, page, sender)
            summary.messages += taken
            if taken:
                report(f"{table}: {summary.messages:,} messages sent")
            elif follow:
                _wait(connection, stop)
            else:
                return


def _take(connection: "Connection[Any]", table: str, page: int, sender: EventSender) -> int:
    """One page: lock, send, acknowledged, delete, commit. Whatever goes wrong before the commit, nothing is deleted."""
    from psycopg.sql import SQL, Identifier

    name = Identifier(*table.split(".", 1))
    with connection.transaction():
        rows = connection.execute(
            SQL("select id, key, payload::text from {} order by id limit %s for update skip locked").format(name),
            (page,),
        ).fetchall()
        if not rows:
            return 0
        sender.send([(key, payload.encode()) for _, key, payload in rows])
        sender.settle()
        sender.raise_if_failed(table)
        crash_point("queue_after_ack")
        connection.execute(SQL("delete from {} where id = any(%s)").format(name), ([row[0] for row in rows],))
    return len(rows)


def _wait(connection: "Connection[Any]", stop: threading.Event) -> None:
    """Until somebody notifies, a signal comes, or it is time to look anyway."""
    until = time.monotonic() + LOOK_SECONDS
    while not stop.is_set() and time.monotonic() < until:
        if list(connection.notifies(timeout=_SLICE_SECONDS, stop_after=1)):
            return


def _require_queue(connection: "Connection[Any]", table: str) -> None:
    schema, name = table.split(".", 1)
    found = {
        row[0]
        for row in connection.execute(
            "select column_name from information_schema.columns where table_schema = %s and table_name = %s",
            (schema, name),
        ).fetchall()
    }
    missing = [column for column in COLUMNS if column not in found]
    if missing:
        raise UsageError(
            f"{table} is no queue: it has no column {', '.join(missing)}." if found else f"There is no table {table}.",
            fix="A queue has id (its order), key (text, may be null) and payload (text or jsonb); see docs/sources.md.",
        )
