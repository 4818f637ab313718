"""Reading quarantine: which records, for which reasons, in which state. With DuckDB, no JVM.

Here: looking. Not here: changing anything (`lake.rejects.replay`, `lake.rejects.discard`).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.duck import delta_connection
from lakehouse.errors import UsageError
from lakehouse.lake.decisions import Decision, discarded
from lakehouse.lake.ledger import merged_through
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.rejects.ids import RecordName

State = Literal["open", "discarded"]
_COLUMNS = (
    'topic_id, partition, "offset", epoch_us("timestamp") AS arrived, reasons, error_type, error_message, '
    "batch, key, value"
)


@dataclass(frozen=True)
class RejectedRecord:
    """One row of quarantine. `arrived` is the broker's time, `decision` what a person decided about it."""

    topic_id: str
    partition: int
    offset: int
    arrived: datetime
    reasons: list[str]
    error_type: str
    error_message: str
    batch: int
    key: bytes | None
    value: bytes | None
    decision: Decision | None

    @property
    def id(self) -> str:
        """Its identity, as dead letters carry it."""
        return f"{self.topic_id}/{self.partition}/{self.offset}"

    @property
    def state(self) -> State:
        """`open` until somebody discards it."""
        return "open" if self.decision is None else "discarded"


@dataclass(frozen=True)
class Listing:
    """What `list` shows: rows per reason over all that match, the newest of them, and how many discarded are hidden."""

    by_reason: dict[str, int]
    total: int
    hidden: int
    newest: list[RejectedRecord]


def list_records(
    contract: StreamContract,
    paths: LakePaths,
    *,
    reason: str | None = None,
    day: date | None = None,
    limit: int = 20,
    with_discarded: bool = False,
) -> Listing:
    """Count the quarantined records by reason and read the newest.

    Args:
        contract: The stream.
        paths: The lake.
        reason: Only records with this reason among theirs.
        day: Only records that arrived on this day (UTC).
        limit: Records to read.
        with_discarded: Also those that somebody discarded.
    """
    path = paths.quarantine(contract.name)
    if not table_exists(path):
        return Listing({}, 0, 0, [])
    out = discarded(paths, contract.name)
    matching = "(? IS NULL OR list_contains(reasons, ?)) AND (? IS NULL OR arrival_date = ?)"
    is_out = "list_contains(?, concat_ws('/', topic_id, partition, \"offset\"))"
    shown = f"{matching} AND (? OR NOT {is_out})"
    given: list[Any] = [path, reason, reason, day, day]
    chosen = [*given, with_discarded, list(out)]
    with delta_connection() as duck:
        groups = duck.execute(
            f"SELECT reasons, count(*) FROM delta_scan(?) WHERE {shown} GROUP BY ALL",  # noqa: S608 - our own text
            chosen,
        ).fetchall()
        everything = duck.execute(f"SELECT count(*) FROM delta_scan(?) WHERE {matching}", given).fetchall()[0][0]  # noqa: S608 - our own names
        rows = duck.execute(
            f"SELECT {_COLUMNS} FROM delta_scan(?) WHERE {shown} "  # noqa: S608 - our own text
            'ORDER BY "timestamp" DESC, partition, "offset" DESC LIMIT ?',
            [*chosen, limit],
        ).fetchall()
    by_reason: Counter[str] = Counter()
    for reasons, count in groups:
        by_reason.update(dict.fromkeys(reasons, count))
    total = sum(count for _, count in groups)
    return Listing(dict(by_reason.most_common()), total, everything - total, [_record(row, out) for row in rows])


def find_records(contract: StreamContract, paths: LakePaths, names: Iterable[RecordName]) -> list[RejectedRecord]:
    """The quarantined records of these names, each once, in the order of the names.

    Only those that silver has been through: what a drain wrote in a step that it has not finished is still its own.

    Raises:
        UsageError: when a name means none of them, or several; names those.
    """
    wanted = list(dict.fromkeys(names))
    path = paths.quarantine(contract.name)
    rows: list[tuple[Any, ...]] = []
    if table_exists(path):
        through = merged_through(paths.silver(contract.name))
        pairs = [f"{name.partition}:{name.offset}" for name in wanted]
        with delta_connection() as duck:
            rows = duck.execute(
                f"SELECT {_COLUMNS} FROM delta_scan(?) "  # noqa: S608 - our own text
                "WHERE batch <= ? AND list_contains(?, concat_ws(':', partition, \"offset\"))",
                [path, through, pairs],
            ).fetchall()
    out = discarded(paths, contract.name)
    known = [_record(row, out) for row in rows]
    found: dict[str, RejectedRecord] = {}
    for name in wanted:
        meant = [r for r in known if name.means(r.topic_id, r.partition, r.offset)]
        if len(meant) != 1:
            raise _not_one(contract, name, meant)
        found[meant[0].id] = meant[0]
    return list(found.values())


def _not_one(contract: StreamContract, name: RecordName, meant: list[RejectedRecord]) -> UsageError:
    text = f"{name.partition}:{name.offset}"
    if meant:
        return UsageError(
            f"{text} means {len(meant)} records of stream {contract.name}.",
            why="The topic was deleted and made anew, so offsets repeat.",
            fix=f"Name one of them: {', '.join(record.id for record in meant)}",
        )
    return UsageError(
        f"Stream {contract.name} has no record {text} in quarantine.",
        why="It was never rejected, or a replay has taken it to silver.",
        fix=f"See which there are: lakehouse quarantine list {contract.name} --all",
    )


def _record(row: tuple[Any, ...], out: dict[str, Decision]) -> RejectedRecord:
    topic_id, partition, offset, arrived, reasons, error_type, message, batch, key, value = row
    return RejectedRecord(
        topic_id=topic_id,
        partition=partition,
        offset=offset,
        arrived=datetime.fromtimestamp(arrived / 1_000_000, UTC),
        reasons=reasons,
        error_type=error_type,
        error_message=message,
        batch=batch,
        key=key,
        value=value,
        decision=out.get(f"{topic_id}/{partition}/{offset}"),
    )
