"""Files that were dropped into a stream's landing folder: sent once each, resumable, bad ones named and left there.

Here: which files there are, and sending them. Not here: CSV (`sources.csv_files`), the order of work (`sources.files`),
when it is done (`components.landing`).

The folder is `<LAKEHOUSE_HOME>/landing/streams/<stream>`. A file counts as whole when it was not touched for a few
seconds; a rename into the folder is whole at once. Notes say what the broker has acknowledged; files stay where they
are, and a file with other bytes is another file.
"""

import hashlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.contracts.model import StreamContract
from lakehouse.errors import UsageError
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.settings import Settings
from lakehouse.sources.csv_files import CsvFile, check_csv
from lakehouse.sources.files import Progress, require_columns, row_key, send_files
from lakehouse.sources.producer import EventSender

QUIET_SECONDS = 5.0


@dataclass
class LandingReport:
    """Rows sent now, rows that earlier runs had sent, and what is wrong with the files that were left out."""

    sent: int = 0
    before: int = 0
    files: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def landing_folder(settings: Settings, stream: str) -> Path:
    """Where files for this stream are dropped."""
    return settings.home / "landing" / "streams" / stream


def landed(settings: Settings, stream: str, *, quiet_seconds: float = QUIET_SECONDS) -> list[Path]:
    """Whole files of the stream's folder, by name."""
    folder = landing_folder(settings, stream)
    before = time.time() - quiet_seconds
    return [path for path in sorted(folder.glob("*.csv")) if path.stat().st_mtime <= before]


def position(paths: list[Path]) -> str:
    """A short name for these files as they are now; other names, sizes or times are another position."""
    facts = [f"{path.name}/{path.stat().st_size}/{path.stat().st_mtime_ns}" for path in paths]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def send_landed(settings: Settings, contract: StreamContract) -> LandingReport:
    """Send what is not sent yet of every whole file; a bad file is named and holds no other back.

    Raises:
        TopicMissingError, BrokerUnreachableError: nothing was lost; run it again.
    """
    report = LandingReport()
    plain = [spec for spec in contract.fields if spec.derive is None]
    needed = {spec.key for spec in plain if not spec.nullable and spec.key[:1] != "_"}
    good: list[CsvFile] = []
    for path in landed(settings, contract.name):
        try:
            file = check_csv(path, path.name)
            require_columns([file], needed, contract.name)
            good.append(file)
        except UsageError as error:
            report.refused[path.name] = error.problem
    topic = contract.topic.name
    summary = send_files(
        good,
        EventSender(settings, topic, producer_config(settings)),
        Progress(settings.home / "produce", read_topic_state(settings, topic).topic_id),
        key=row_key([spec.key for spec in plain if spec.name in contract.key]),
        interval=0.0,
        limit=None,
        stop=threading.Event(),
        report=lambda _: None,
    )
    report.sent, report.before, report.files = summary.rows, sum(summary.before.values()), len(good)
    return report
