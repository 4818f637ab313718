"""Sending CSV files to a stream's topic, resumable after a kill, each row at least once.

Here: the order of work and the progress files. Not here: CSV (`sources.csv_files`), the producer (`sources.producer`).

Every file is checked to its end before the first row is sent. Progress is written after the broker has acknowledged
all rows up to it, so that a killed run sends the rows after its last note again: the same `_file` and `_line`, which
the stream's key makes one. Notes belong to the topic's id: a topic made anew is filled from the beginning.
"""

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from lakehouse.errors import UsageError
from lakehouse.sources.csv_files import FILE_KEY, LINE_KEY, CsvFile, events, to_json
from lakehouse.sources.pacing import Pacer
from lakehouse.sources.producer import EventSender, Message

ROWS_BETWEEN_NOTES = 2_000
SECONDS_BETWEEN_NOTES = 1.0


Key = Callable[[dict[str, str | int]], str]
"""Makes the message key of an event."""


@dataclass
class FilesSummary:
    """Rows per file: sent now, and found sent before."""

    sent: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def rows(self) -> int:
        """Rows sent now."""
        return sum(self.sent.values())


class Progress:
    """How many rows of a file the broker has acknowledged, kept across runs.

    Args:
        folder: Where the notes are, one small JSON file per topic id and path.
        topic_id: The topic's id.
    """

    def __init__(self, folder: Path, topic_id: str) -> None:
        self._folder = folder
        self._topic_id = topic_id

    def rows(self, file: CsvFile) -> int:
        """Acknowledged rows; 0 for a file that is new or has other bytes than when the note was made."""
        path = self._path(file)
        if not path.is_file():
            return 0
        note = json.loads(path.read_text(encoding="utf-8"))
        return int(note["rows"]) if note["sha256"] == file.sha256 else 0

    def note(self, file: CsvFile, rows: int) -> None:
        """Write down that the first `rows` rows are acknowledged; a kill leaves the old or the new note."""
        path = self._path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"file": str(file.path), "sha256": file.sha256, "rows": rows})
        unfinished = path.with_suffix(".part")
        with unfinished.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)

    def forget(self, file: CsvFile) -> None:
        """Begin anew."""
        self._path(file).unlink(missing_ok=True)

    def _path(self, file: CsvFile) -> Path:
        name = hashlib.sha256(str(file.path.resolve()).encode()).hexdigest()[:24]
        return self._folder / self._topic_id / f"{name}.json"


def row_key(names: list[str]) -> Key:
    """The message key of a row: the values of the stream's key, else file and row number."""

    def key(event: dict[str, str | int]) -> str:
        columns = names if names and all(name in event for name in names) else [FILE_KEY, LINE_KEY]
        return "|".join(str(event[column]) for column in columns)

    return key


def require_columns(files: list[CsvFile], needed: set[str], stream: str) -> None:
    """Refuse files that can not be this stream's.

    Raises:
        UsageError: naming the file and the columns that it lacks.
    """
    for file in files:
        missing = sorted(needed - set(file.columns))
        if missing:
            raise UsageError(
                f"{file.path}:1: stream {stream} needs columns that this file does not have: {', '.join(missing)}.",
                fix=f"The file has: {', '.join(file.columns)}.",
            )


def send_files(
    files: list[CsvFile],
    sender: EventSender,
    progress: Progress,
    *,
    key: Key,
    interval: float,
    limit: int | None,
    stop: threading.Event,
    report: Callable[[str], None],
) -> FilesSummary:
    """Send every row that is not yet noted as acknowledged, file by file.

    Args:
        files: In the order to send.
        sender: The producer.
        progress: Notes of earlier runs.
        key: Message key of an event.
        interval: Seconds between rows; 0 for as fast as the broker takes them.
        limit: Rows to send in this run, at most.
        stop: Set by a signal: the rows already queued are settled and noted.
        report: Takes one line per file.

    Raises:
        BrokerUnreachableError: when rows were not taken in time; what was acknowledged before is noted.
        LakehouseError: when the broker refused rows.
    """
    summary = FilesSummary()
    pacer = Pacer(interval, sleep=stop.wait)
    for file in files:
        done = summary.before[file.name] = progress.rows(file)
        rows = events(file, after=done)
        sent = 0
        while not stop.is_set() and (limit is None or summary.rows < limit):
            room = ROWS_BETWEEN_NOTES if limit is None else min(ROWS_BETWEEN_NOTES, limit - summary.rows)
            count = _send_some(islice(rows, room), sender, key=key, pacer=pacer, paced=interval > 0, stop=stop)
            if not count:
                break
            sender.settle()
            sender.raise_if_failed(file.name)
            sent += count
            summary.sent[file.name] = sent
            progress.note(file, done + sent)
        if sent or not done:
            report(f"{file.name}: {sent:,} rows sent, {done + sent:,} of {file.rows:,} in all")
    summary.interrupted = stop.is_set()
    return summary


def _send_some(
    rows: Iterator[tuple[int, dict[str, str | int]]],
    sender: EventSender,
    *,
    key: Key,
    pacer: Pacer,
    paced: bool,
    stop: threading.Event,
) -> int:
    if not paced:
        messages: list[Message] = [(key(event), to_json(event)) for _, event in rows]
        sender.send(messages)
        return len(messages)
    count = 0
    until = time.monotonic() + SECONDS_BETWEEN_NOTES
    while not stop.is_set() and time.monotonic() < until:
        pacer.wait()
        _, event = next(rows, (0, None))
        if event is None:
            break
        sender.send([(key(event), to_json(event))])
        count += 1
    return count
