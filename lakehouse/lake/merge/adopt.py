"""Adopting staged rows: one commit of ours that takes their files into silver and hides every row that lost.

Here: what the commit says. Not here: which rows (`lake.silver` for new ones, `lake.rejects.replay` for those judged
again), which lose (`rivals`), making it (`commit`). A file is moved to its partition before the commit names it; until
then no reader knows of it.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lakehouse.engine.crash import crash_point
from lakehouse.engine.storage import storage_errors
from lakehouse.lake.ledger import current_version
from lakehouse.lake.log.actions import Add, active_adds, add_of, hidden, removed, rows_of
from lakehouse.lake.log.commit import Operation, commit, moved
from lakehouse.lake.merge.known_keys import KnownKeys
from lakehouse.lake.merge.rivals import Losers, losers
from lakehouse.lake.merge.staged import VALID, Staged
from lakehouse.lake.merge.truncated import taken_by_truncate
from lakehouse.lake.merge.vectors import read_vector, write_vectors
from lakehouse.lake.schema.tables import stats_columns


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
    known: KnownKeys | None = None,
) -> Adopted:
    """Take the staged valid rows into the table; of each identity the row that wins is seen afterwards, no other.

    Adopting the same rows again changes nothing that is seen: a row has to come strictly later (in append mode:
    earlier) than the one that is there. The caller holds the lock of silver's writers.

    Args:
        staged: The rows.
        event_dates: Their event dates (ISO); no other partition is read, where there are some.
        metadata: Goes into the commit.
        transaction: Application id and version of the step, for those who ask the table how far it is.
        known: What earlier steps learned of the keys in the table's files; learns more.

    Raises:
        BatchConflictError: another writer committed first; nothing of ours can be seen, start again.
        DiskFullError: as it says; likewise.
    """
    contract, table = staged.contract, staged.table
    version = current_version(str(table)) or 0
    files = staged.files(VALID)
    days = None if contract.is_cdc else set(event_dates)
    active = active_adds(table, version, days) if files else {}
    known = known or KnownKeys()
    lost = losers(staged, active, known) if files else Losers()
    if files and contract.applies_truncates:
        taken = taken_by_truncate(staged, active)
        lost |= taken.rows
        files += [taken.remains] if taken.remains else []
    held = active_adds(table, version, days, names={file.name for file in lost.held}) if lost.held else {}
    hiding = {file.name: read_vector(table, held[file.name]) | rows for file, rows in lost.held.items()}
    new: dict[str, Add] = {}
    for file in files:
        partition, target = staged.partition_of(file), moved(file, staged.root(VALID), table)
        known.rename(str(file), target.name)
        new[target.name] = add_of(table, target, partition, stats_columns(contract))
        if file in lost.staged:
            hiding[target.name] = lost.staged[file]
    descriptors = write_vectors(table, hiding) if hiding else {}
    now = int(time.time() * 1000)
    # Of an identity that is in the table one row is seen, and it loses to at most one.
    updated = sum(map(len, lost.held.values()))
    inserted = sum(map(rows_of, new.values())) - sum(map(len, lost.staged.values())) - updated
    actions: list[dict[str, Any]] = [
        *({"remove": removed(add, now)} for add in held.values()),
        *(
            {"add": hidden(add, descriptors[name]) if name in descriptors else add}
            for name, add in {**held, **new}.items()
            # A file of which nothing is seen is no part of the table.
            if name not in hiding or len(hiding[name]) < rows_of(add)
        ),
    ]
    operation = Operation("MERGE", metadata, {"numTargetRowsInserted": inserted, "numTargetRowsUpdated": updated})
    crash_point("before_silver_commit")
    return Adopted(commit(table, version, operation, actions, transaction=transaction), inserted, updated)
