"""Adding a folder's files to a table, as one commit of ours. Here: files to `add`s. Not here: the commit itself."""

import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from lakehouse.engine.storage import storage_errors
from lakehouse.lake.log.actions import Add, add_of, removed, rows_of
from lakehouse.lake.log.commit import Operation, commit, moved
from lakehouse.lake.log.staging import partition_of


@storage_errors()
def append(
    table: Path,
    folder: Path | None,
    read: int,
    metadata: Mapping[str, Any],
    *,
    stats: Collection[str],
    transaction: tuple[str, int] | None = None,
    instead_of: Iterable[Add] = (),
) -> int:
    """Add the files below a staging folder to a table; without one, commit the metadata alone.

    Args:
        table: The table.
        folder: The files, in folders of their partitions.
        read: The version that the commit comes right after.
        metadata: Goes into the commit.
        stats: Columns that the log has statistics of, so that readers skip files without looking into payloads.
        transaction: Application id and number, for those who ask the table how far it is.
        instead_of: Files of the table that are no part of it any more.

    Returns:
        The version that was made.

    Raises:
        BatchConflictError: another writer committed first; nothing of ours can be seen.
        DiskFullError: as it says; likewise.
    """
    adds = []
    if folder:
        for file in sorted(folder.rglob("*.parquet")):
            partition = partition_of(file, folder)
            adds.append(add_of(table, moved(file, folder, table), partition, stats))
    now = int(time.time() * 1000)
    actions: list[Mapping[str, Any]] = [{"remove": removed(add, now)} for add in instead_of]
    operation = Operation("WRITE", metadata, {"numOutputRows": sum(map(rows_of, adds))}, is_blind_append=not actions)
    actions += [{"add": add} for add in adds]
    return commit(table, read, operation, actions, transaction=transaction)
