"""Adopting staged rows: one commit of ours that takes their files into silver and hides every row that lost.

Here: the commit. Not here: which rows (`lake.silver` for new ones, `lake.rejects.replay` for those judged again), which
lose (`rivals`). A file is moved to its partition before the commit names it; until then no reader knows of it.

Spark writes to the same log (compaction, backfill, columns). All of them hold the stream's lock, because Spark's log
store for local disks looks and renames in two steps; whoever commits without it is found by looking again afterwards.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from lakehouse.engine.crash import crash_point
from lakehouse.engine.duck import delta_connection, literal
from lakehouse.engine.storage import storage_errors
from lakehouse.errors import BatchConflictError
from lakehouse.lake.ledger import current_version
from lakehouse.lake.merge.actions import Add, add_of, adds_of, hidden, removed, rows_of
from lakehouse.lake.merge.rivals import Losers, losers
from lakehouse.lake.merge.staged import FATE, VALID, Staged
from lakehouse.lake.merge.truncated import taken_by_truncate
from lakehouse.lake.merge.vectors import read_vector, write_vectors
from lakehouse.lake.schema.accepted import read_accepted, require_followed
from lakehouse.lake.schema.tables import stats_columns

# Readers begin at the last checkpoint and read every commit since.
_CHECKPOINT_EVERY = 10


class Adopted(NamedTuple):
    """What a commit did: its version, rows of new keys, rows that took the place of another."""

    version: int
    inserted: int
    updated: int


@storage_errors()
def adopt(
    staged: Staged,
    event_dates: Iterable[str],
    metadata: Mapping[str, Any],
    *,
    transaction: tuple[str, int] | None = None,
) -> Adopted:
    """Take the staged valid rows into the table; of each identity the row that wins is seen afterwards, no other.

    Adopting the same rows again changes nothing that is seen: a row has to come strictly later (in append mode:
    earlier) than the one that is there. The caller holds the lock of silver's writers.

    Args:
        staged: The rows.
        event_dates: Their event dates (ISO); no other partition is read, where there are some.
        metadata: Goes into the commit.
        transaction: Application id and version of the step, for those who ask the table how far it is.

    Raises:
        SchemaIncompatibleError: the table was brought up to another version of the contract meanwhile.
        BatchConflictError: another writer committed first; nothing of ours can be seen, start again.
        DiskFullError: as it says; likewise.
    """
    contract, table = staged.contract, staged.table
    require_followed(contract, read_accepted(str(table)))
    version = current_version(str(table)) or 0
    files = staged.files(VALID)
    lost, remains = _lost(staged, version, event_dates) if files else (Losers(), None)
    files += [remains] if remains else []
    held = adds_of(table, version, (file.name for file in lost.held))
    hiding = {file.name: read_vector(table, held[file.name]) | rows for file, rows in lost.held.items()}
    new: dict[str, Add] = {}
    for file in files:
        moved = _moved(staged, file)
        new[moved.name] = add_of(table, moved, staged.partition_of(file), stats_columns(contract))
        if file in lost.staged:
            hiding[moved.name] = lost.staged[file]
    descriptors = write_vectors(table, hiding) if hiding else {}
    now = int(time.time() * 1000)
    # Of an identity that is in the table one row is seen, and it loses to at most one.
    updated = sum(map(len, lost.held.values()))
    inserted = sum(map(rows_of, new.values())) - sum(map(len, lost.staged.values())) - updated
    actions: list[dict[str, Any]] = [
        {"commitInfo": _commit_info(now, version, metadata, inserted, updated)},
        *([_txn(*transaction, now)] if transaction else []),
        *({"remove": removed(add, now)} for add in held.values()),
        *(
            {"add": hidden(add, descriptors[name]) if name in descriptors else add}
            for name, add in {**held, **new}.items()
            # A file of which nothing is seen is no part of the table.
            if name not in hiding or len(hiding[name]) < rows_of(add)
        ),
    ]
    crash_point("before_silver_commit")
    _commit(table, version + 1, actions)
    if (version + 1) % _CHECKPOINT_EVERY == 0:
        from deltalake import DeltaTable

        DeltaTable(str(table)).create_checkpoint()
    return Adopted(version + 1, inserted, updated)


def _lost(staged: Staged, version: int, event_dates: Iterable[str]) -> tuple[Losers, Path | None]:
    """The rows that must not be seen, and the file of what a truncate leaves of its keys, if it leaves something."""
    # One connection: loading what reads Delta tables takes longer than to ask.
    with delta_connection(modest=True) as duck:
        duck.execute(f"set temp_directory = {literal(str(staged.folder))}")
        lost = losers(duck, staged, version, event_dates)
        if not staged.contract.applies_truncates:
            return lost, None
        taken = taken_by_truncate(duck, staged, version)
        return lost | taken.rows, taken.remains


def _moved(staged: Staged, file: Path) -> Path:
    """Put a staged file among the files of its partition, under a name of its own: all files of a task share theirs."""
    folder = staged.table / file.parent.relative_to(staged.folder / f"{FATE}={VALID}")
    folder.mkdir(parents=True, exist_ok=True)
    return file.rename(folder / f"part-{uuid4()}.zstd.parquet")


def _commit_info(now: int, read: int, metadata: Mapping[str, Any], inserted: int, updated: int) -> dict[str, Any]:
    return {
        "timestamp": now,
        "operation": "MERGE",
        "operationParameters": {},
        "readVersion": read,
        "isBlindAppend": False,
        "operationMetrics": {"numTargetRowsInserted": str(inserted), "numTargetRowsUpdated": str(updated)},
        "userMetadata": json.dumps(dict(metadata)),
        "engineInfo": f"lakehouse/{installed('lakehouse')}",
        "txnId": str(uuid4()),
    }


def _txn(app_id: str, number: int, now: int) -> dict[str, Any]:
    return {"txn": {"appId": app_id, "version": number, "lastUpdated": now}}


def _commit(table: Path, version: int, actions: Iterable[dict[str, Any]]) -> None:
    """Make the commit of this version, whole or not at all.

    Raises:
        BatchConflictError: there is one already.
    """
    log = table / "_delta_log"
    text = "".join(json.dumps(action, separators=(",", ":")) + "\n" for action in actions)
    draft = log / f".{version:020d}.json.{uuid4().hex}.tmp"
    target = log / f"{version:020d}.json"
    try:
        draft.write_text(text, encoding="utf-8")
        os.link(draft, target)
    except FileExistsError as error:
        raise _lost_race(table, version) from error
    finally:
        draft.unlink(missing_ok=True)
    if target.read_text(encoding="utf-8") != text:
        raise _lost_race(table, version)


def _lost_race(table: Path, version: int) -> BatchConflictError:
    return BatchConflictError(
        f"Another writer made commit {version} of {table} first.",
        why="Two drains ran at once, or somebody changed the table by hand.",
        fix="Nothing: what was to be written is planned again.",
    )
