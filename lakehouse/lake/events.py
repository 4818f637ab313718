"""The table of facts `ops/events`: what each micro-batch, build or check did. Here: writing facts. Not here: their use.

Facts are for people and dashboards; nothing is decided by them. The table has one writer, delta-rs, which needs no JVM,
so that facts can be written while Spark is down.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from lakehouse.engine.storage import storage_errors
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.reports import BatchReport

# Every writer and reader opens all commits since the last checkpoint, at once and each in a thread of its own, and the
# threads of delta-rs stay: at its own hundred commits a drain came to eighty of them.
_CHECKPOINT_EVERY = 10


@dataclass(frozen=True)
class Fact:
    """One row of `ops/events`. `seconds` is the duration of the work, `details` anything else worth keeping."""

    stream: str
    layer: str
    kind: str
    batch: int = -1
    rows: int = 0
    rejected: int = 0
    seconds: float = 0.0
    lag_rows: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def of_batch(cls, report: BatchReport) -> "Fact":
        """The fact that a batch report states."""
        known = asdict(report)
        details = {
            key: known[key]
            for key in (
                "offsets", "delta_version", "read", "rejected_by_rule", "warned_by_rule", "duplicates", "event_dates",
                "latency_seconds",
            )
            if known[key]
        }  # fmt: skip
        return cls(
            stream=report.stream,
            layer=report.layer,
            kind="batch",
            batch=report.batch,
            rows=report.rows,
            rejected=report.rejected,
            seconds=report.seconds,
            lag_rows=report.lag_rows,
            details=details,
        )


def write_facts(paths: LakePaths, facts: list[Fact]) -> None:
    """Append facts in one commit; nothing happens for an empty list.

    Raises:
        DiskFullError, SetupError: when they cannot be written.
    """
    if not facts:
        return
    import pyarrow as pa
    from deltalake import write_deltalake

    schema = pa.schema(
        [
            ("at", pa.timestamp("us", tz="UTC")),
            ("stream", pa.string()),
            ("layer", pa.string()),
            ("kind", pa.string()),
            ("batch", pa.int64()),
            ("rows", pa.int64()),
            ("rejected", pa.int64()),
            ("seconds", pa.float64()),
            ("lag_rows", pa.int64()),
            ("details", pa.string()),
        ]
    )
    rows = [{**asdict(fact), "details": json.dumps(fact.details, default=str)} for fact in facts]
    with storage_errors():
        write_deltalake(
            paths.events,
            pa.Table.from_pylist(rows, schema=schema),
            mode="append",
            configuration={"delta.checkpointInterval": str(_CHECKPOINT_EVERY)},
        )
