"""Appending a folder's files to a table, as one commit of ours. Here: files to `add`s. Not here: the commit itself."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lakehouse.engine.storage import storage_errors
from lakehouse.lake.log.actions import add_of, rows_of
from lakehouse.lake.log.commit import Operation, commit, moved
from lakehouse.lake.log.staging import partition_of


@storage_errors()
def append(
    table: Path,
    folder: Path | None,
    read: int,
    metadata: Mapping[str, Any],
    *,
    transaction: tuple[str, int],
    stats: Collection[str],
) -> int:
    """Add the files below a staging folder to a table; without one, commit the metadata alone.

    Args:
        table: The table.
        folder: The files, in folders of their partitions.
        read: The version that the commit comes right after.
        metadata: Goes into the commit.
        transaction: Application id and number, for those who ask the table how far it is.
        stats: Columns that the log has statistics of, so that readers skip files without looking into payloads.

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
    operation = Operation("WRITE", metadata, {"numOutputRows": sum(map(rows_of, adds))}, is_blind_append=True)
    return commit(table, read, operation, [{"add": add} for add in adds], transaction=transaction)
