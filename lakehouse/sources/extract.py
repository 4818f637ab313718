"""From a table to a topic: pages sent, acknowledged, noted, in this order.

Here: a run, its lock, its patience with the server. Not here: SQL and notes (`sources.database`), the producer
(`sources.producer`).

A page is noted when the broker has acknowledged all of it, so a killed run sends at most the page after its last note
again, with the same keys and the same contents or newer ones.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.engine.postgres import again_while_away, connect, shown
from lakehouse.errors import LakehouseError
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.settings import Settings
from lakehouse.sources.database import Notes, Row, TableReader, qualified, source_address
from lakehouse.sources.producer import EventSender

if TYPE_CHECKING:
    from psycopg import Connection


class ExtractBusyError(LakehouseError):
    """Another run reads the same table into the same topic."""

    code = "EXTRACT_BUSY"
    retryable = True


@dataclass(frozen=True)
class Extract:
    """What to read, and how.

    Attributes:
        table: `table` or `schema.table`.
        key: Columns that identify a row and never change.
        updated: Column with the time of a row's last change.
        overlap: A new run begins so long before the last one ended.
        page: Rows that are sent, acknowledged and noted together.
        day: Take the rows of this day (UTC) instead of what changed.
        day_column: The column that `day` is about.
    """

    table: str
    key: tuple[str, ...]
    updated: str = "updated_at"
    overlap: timedelta = timedelta(minutes=5)
    page: int = 5_000
    day: date | None = None
    day_column: str = "created_at"


@dataclass
class ExtractSummary:
    """What a run did.

    Attributes:
        rows: Rows that the broker acknowledged.
        resumed: It went on with a run that had not ended.
        interrupted: A signal ended it before its end.
        without_time: Rows that no run can find, because their time of change is null.
    """

    rows: int = 0
    resumed: bool = False
    interrupted: bool = False
    without_time: int = 0


def extract(
    contract: StreamContract,
    settings: Settings,
    what: Extract,
    *,
    stop: threading.Event,
    report: Callable[[str], None],
    restart: bool = False,
) -> ExtractSummary:
    """Send rows of a table to a stream's topic: those of a day, or what changed since the last run.

    Raises:
        UsageError: no database is configured, or it has no such table or column.
        ExtractBusyError: another run reads the same table.
        DatabaseUnreachableError: it did not answer for half a minute.
        BrokerUnreachableError: what was acknowledged before is noted; the next run goes on from there.
    """
    url = source_address(settings)
    state = read_topic_state(settings, contract.topic.name)
    notes = Notes(settings.home / "produce", state.topic_id, f"{shown(url)}/{qualified(what.table)}")
    if restart:
        notes.forget()
    sender = EventSender(settings, contract.topic.name, producer_config(settings))
    summary = ExtractSummary()
    _run(url, contract.topic.name, what, sender, notes, summary, stop, report)
    return summary


@again_while_away()
def _run(
    url: str,
    topic: str,
    what: Extract,
    sender: EventSender,
    notes: Notes,
    summary: ExtractSummary,
    stop: threading.Event,
    report: Callable[[str], None],
) -> None:
    with connect(url) as connection:
        _alone(connection, f"{qualified(what.table)} into {topic}")
        reader = TableReader(connection, what.table, list(what.key), what.updated)
        if what.day is not None:
            _send_day(reader, what, what.day, sender, summary, stop)
        else:
            _send_changes(reader, what, sender, notes, summary, stop, report)


def _send_changes(
    reader: TableReader,
    what: Extract,
    sender: EventSender,
    notes: Notes,
    summary: ExtractSummary,
    stop: threading.Event,
    report: Callable[[str], None],
) -> None:
    before = notes.read()
    note = reader.begin(before, what.overlap)
    summary.resumed = note is before
    summary.without_time = reader.without_watermark()
    notes.write(note)
    for rows in reader.changed(note, what.page):
        _send(sender, rows, reader.label)
        crash_point("extract_after_ack")
        note = replace(note, at=list(rows[-1].at))
        notes.write(note)
        crash_point("extract_after_note")
        summary.rows += len(rows)
        report(f"{reader.label}: {summary.rows:,} rows sent, changed up to {rows[-1].at[0]}")
        if stop.is_set():
            summary.interrupted = True
            return
    notes.write(replace(note, is_done=True))


def _send_day(
    reader: TableReader, what: Extract, day: date, sender: EventSender, summary: ExtractSummary, stop: threading.Event
) -> None:
    """A repeated run sends the same rows again; no note is kept."""
    summary.rows = 0
    for rows in reader.of_day(day, what.day_column, what.page):
        _send(sender, rows, reader.label)
        summary.rows += len(rows)
        if stop.is_set():
            summary.interrupted = True
            return


def _alone(connection: "Connection[Any]", what: str) -> None:
    """Hold a lock of the source's server until the connection ends: an older page must not follow a newer one.

    Raises:
        ExtractBusyError: another run holds it.
    """
    query = "select pg_try_advisory_lock(hashtext('lakehouse_extract'), hashtext(%s))"
    if connection.execute(query, (what,)).fetchone() != (True,):
        raise ExtractBusyError(
            f"Another run extracts {what}.",
            why="Two at once could send an older state of a row after a newer one.",
            fix="Wait for it to end, then run the same command again.",
        )


def _send(sender: EventSender, rows: list[Row], what: str) -> None:
    sender.send([(row.key, row.value) for row in rows])
    sender.settle()
    sender.raise_if_failed(what)
