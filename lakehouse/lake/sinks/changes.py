"""What a copy of silver lacks: read from silver's own log, so that nothing has to be compared row by row.

Here: from the position of the last load to the rows that the next one takes. Not here: any database (`postgres`).

A merged batch leaves its number in the rows that it inserted or changed. Every other commit that changed data
(backfill, replay, a released record, an erasure) changed whole event dates as far as a reader can tell: those are taken
anew.
"""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.ledger import current_version, merged_through, plans
from lakehouse.lake.paths import LakePaths
from lakehouse.quality.rules import date_list


@dataclass(frozen=True)
class Position:
    """How far a copy of silver is: the Delta table's id, its version, the last bronze batch in it."""

    table_id: str
    version: int
    batch: int


@dataclass(frozen=True)
class Changes:
    """What one load takes.

    Attributes:
        after: Where the copy is; None when it has nothing yet.
        upto: Where it will be.
        dates: Event dates whose rows are taken as a whole, and whose other rows are deleted from the copy.
        full: All of silver is taken, and all other rows are deleted.
        batch_id: Names the load: topic, offsets per partition of the batches in it, version of silver.
    """

    after: Position | None
    upto: Position
    dates: tuple[date, ...]
    full: bool
    batch_id: str

    @property
    def condition(self) -> str:
        """SQL: the rows of silver to take."""
        if self.full or self.after is None:
            return "true"
        new = f"_batch > {self.after.batch}"
        return f"({new} OR event_date IN ({date_list(self.dates)}))" if self.dates else new

    @property
    def is_position_only(self) -> bool:
        """Does silver have a new version, but no other rows?"""
        return not self.full and not self.dates and self.after is not None and self.after.batch == self.upto.batch


def changes(contract: StreamContract, paths: LakePaths, after: Position | None, *, full: bool) -> Changes | None:
    """What a copy at `after` lacks; None when it lacks nothing or silver does not exist.

    Everything is taken when the copy is of another table, or when the log no longer reaches back to it.

    Raises:
        LogDamagedError: when a log cannot be read.
    """
    silver = paths.silver(contract.name)
    version = current_version(silver)
    if version is None:
        return None
    upto = Position(_table_id(silver), version, merged_through(silver))
    if after == upto and not full:
        return None
    dates: set[date] | None = None
    if after is not None and not full and after.table_id == upto.table_id and after.version <= version:
        dates = _rewritten(Path(silver), after.version + 1, version)
    taken = tuple(sorted(dates or ()))
    return Changes(
        after, upto, taken, dates is None, _batch_id(contract, paths, after if dates is not None else None, upto)
    )


def _table_id(path: str) -> str:
    from deltalake import DeltaTable

    return str(DeltaTable(path, without_files=True).metadata().id)


def _rewritten(table: Path, first: int, last: int) -> set[date] | None:
    """Event dates whose data was changed by anything but a merge of batches; None when the log does not tell."""
    found: set[date] = set()
    for version in range(first, last + 1):
        file = table / "_delta_log" / f"{version:020d}.json"
        if not file.is_file():
            return None
        actions = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        if _kind(actions) == "silver":
            continue
        for action in actions:
            change = action.get("add") or action.get("remove")
            if change is None or not change.get("dataChange", True):
                continue
            day = (change.get("partitionValues") or {}).get("event_date")
            if day is None:
                return None
            found.add(date.fromisoformat(day))
    return found


def _kind(actions: list[dict[str, Any]]) -> str:
    info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    text = info.get("userMetadata") or ""
    return str(json.loads(text).get("kind", "")) if text.startswith("{") else ""


def _batch_id(contract: StreamContract, paths: LakePaths, after: Position | None, upto: Position) -> str:
    """`<topic>[<partition>:<first>-<end>,…]@v<version of silver>`; a copy that begins anew has offsets from 0."""
    start: dict[int, int] = {}
    end: dict[int, int] = {}
    for plan, _ in plans(paths.bronze(contract.name)):
        if plan.batch > upto.batch:
            continue
        if after is not None and plan.batch <= after.batch:
            break
        end = end or plan.end
        start = plan.start
        if after is None:
            start = {}
            break
    ranges = ",".join(f"{p}:{start.get(p, 0)}-{end[p]}" for p in sorted(end) if end[p] > start.get(p, 0))
    return f"{contract.topic.name}[{ranges}]@v{upto.version}"
