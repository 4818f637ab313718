"""What the lake's work reports: plain values for logs, metadata and the events table. Here: shapes only."""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

Layer = Literal["bronze", "silver"]
StopReason = Literal["idle", "budget", "midnight"]


@dataclass(frozen=True)
class BatchReport:
    """One committed micro-batch of one layer.

    Attributes:
        layer: Which table was committed.
        stream: Its stream.
        batch: The bronze batch number; for silver the last one merged.
        rows: Rows written to the table (silver: inserted plus updated).
        day: Arrival day (UTC).
        seconds: Time the batch took, plan to commit.
        delta_version: Version of the table after the commit.
        committed_at: Unix time of the commit, seconds.
        offsets: Bronze: `{partition: [start, end]}`.
        lag_rows: Bronze: offsets that were waiting after this batch was planned.
        latency_seconds: Bronze: age of the batch's oldest record when it was committed.
        read: Silver: bronze rows judged.
        rejected: Silver: rows sent to quarantine.
        rejected_by_rule: Silver: rows per broken rule; a row that broke two counts in both.
        warned_by_rule: Silver: kept rows per broken warning.
        duplicates: Silver: valid rows that neither inserted nor changed anything.
        event_dates: Silver: valid rows per event date (ISO).
    """

    layer: Layer
    stream: str
    batch: int
    rows: int
    day: date
    seconds: float
    delta_version: int
    committed_at: float
    offsets: dict[int, list[int]] = field(default_factory=dict)
    lag_rows: int = 0
    latency_seconds: float = 0.0
    read: int = 0
    rejected: int = 0
    rejected_by_rule: dict[str, int] = field(default_factory=dict)
    warned_by_rule: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    event_dates: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DrainSummary:
    """What one drain did, and why it ended. `warnings`: what it went on in spite of."""

    stream: str
    batches: int
    bronze_rows: int
    silver_rows: int
    rejected: int
    seconds: float
    reason: StopReason
    last_batch: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DayReport:
    """What recomputing or checking one day found. `note` says it in words."""

    stream: str
    day: date
    rows: int
    seconds: float
    note: str
    delta_version: int | None = None


@dataclass(frozen=True)
class LoadReport:
    """What a load did.

    Attributes:
        stream: The stream.
        table: `schema.table` in PostgreSQL.
        batch_id: Topic, offsets and version of silver; empty when nothing was to do.
        rows: Rows inserted or updated.
        deleted: Rows deleted because silver no longer has them.
        full: All of silver was taken.
        dates: Event dates (ISO) taken as a whole, because something but a merge had changed them.
        batch: Last bronze batch in the table; -1 for none.
        silver_version: Version of silver that the table equals; -1 for none.
        seconds: How long it took.
    """

    stream: str
    table: str
    batch_id: str
    rows: int
    deleted: int
    full: bool
    dates: list[str]
    batch: int
    silver_version: int
    seconds: float
