"""What people decided about single records: the table `ops/decisions`, and judging with it in mind.

Here: writing decisions, reading them, keeping discarded records out. Not here: who may be decided about
(`lake.rejects.discard`). The table has one writer, delta-rs, as `ops/events` has; other than facts, decisions are part
of the truth: silver and quarantine are what contract and decisions make of bronze.
"""

import getpass
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.schema.accepted import ignored_keys
from lakehouse.lake.schema.registered import writers_of
from lakehouse.quality.rules import DISCARDED, quote
from lakehouse.transforms.events import judge

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Decision:
    """One row of `ops/decisions`: `who` decided what about one record of bronze, `why` and when."""

    stream: str
    topic_id: str
    partition: int
    offset: int
    why: str
    who: str
    decision: Literal["discard"] = "discard"
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def id(self) -> str:
        """The record's identity, as dead letters carry it."""
        return f"{self.topic_id}/{self.partition}/{self.offset}"


def write_decisions(paths: LakePaths, decisions: list[Decision]) -> None:
    """Append decisions in one commit."""
    import pyarrow as pa
    from deltalake import write_deltalake

    schema = pa.schema(
        [
            ("stream", pa.string()),
            ("topic_id", pa.string()),
            ("partition", pa.int32()),
            ("offset", pa.int64()),
            ("decision", pa.string()),
            ("who", pa.string()),
            ("why", pa.string()),
            ("at", pa.timestamp("us", tz="UTC")),
        ]
    )
    rows = [asdict(decision) for decision in decisions]
    write_deltalake(paths.decisions, pa.Table.from_pylist(rows, schema=schema), mode="append")


def discarded(paths: LakePaths, stream: str) -> dict[str, Decision]:
    """The stream's discarded records by identity; the first decision about a record counts."""
    if not table_exists(paths.decisions):
        return {}
    from deltalake import DeltaTable

    rows = DeltaTable(paths.decisions).to_pyarrow_table(filters=[("stream", "=", stream)]).to_pylist()
    found = (Decision(**row) for row in sorted(rows, key=lambda row: row["at"], reverse=True))
    return {decision.id: decision for decision in found}


def judge_as_decided(
    bronze: "DataFrame",
    contract: StreamContract,
    generations: tuple[str, ...],
    paths: LakePaths,
    *,
    independent: bool = False,
) -> "DataFrame":
    """`transforms.events.judge`, but a record that a person discarded never passes: then its reason is `discarded`."""
    ignored, writers = ignored_keys(paths, contract.name), writers_of(contract, paths)
    judged = judge(bronze, contract, generations, ignored, writers, independent=independent)
    out = discarded(paths, contract.name)
    if not out:
        return judged
    is_out = f"concat_ws('/', _topic_id, _partition, _offset) IN ({', '.join(quote(record) for record in sorted(out))})"
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    return judged.withColumns(
        {
            "_broken": F.expr(f"CASE WHEN _broken = '' AND {is_out} THEN '{DISCARDED}' ELSE _broken END"),
            # It cannot stop a batch that it is no part of.
            "_failed": F.expr(f"CASE WHEN {is_out} THEN '' ELSE _failed END"),
        }
    )


def current_user() -> str:
    """The name of whoever runs the command; the number where the system knows no name, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
