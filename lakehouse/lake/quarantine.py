"""Rejected records: the quarantine table (exactly once) and the dead-letter topic (at least once, same id each time).

Here: writing both for one silver step. Not here: judging (`transforms.events`), their shape (`transforms.rejects`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.engine.crash import crash_point
from lakehouse.engine.duck import lasting_delta_connection, literal
from lakehouse.engine.spark import spark_errors
from lakehouse.engine.storage import storage_errors
from lakehouse.kafka.dead_letters import Postman, Rejected
from lakehouse.lake.guards.durable import settle, settled
from lakehouse.lake.ledger import commit_at, current_version, last_commit_of
from lakehouse.lake.log.append import append
from lakehouse.lake.log.metadata import commits_say
from lakehouse.lake.log.staging import staging_folder
from lakehouse.lake.merge.staged import BROKEN, REJECTED, Staged
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings
from lakehouse.transforms.rejects import quarantine_row_of_staged

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Of these the log has statistics: they find a record without reading payloads.
_STATS = ("partition", "offset", "batch")
_AT_ONCE = 1_000


def record_rejects(
    spark: "SparkSession", staged: Staged, settings: Settings, paths: LakePaths, after: int, through: int
) -> None:
    """Make the quarantine table hold the staged rejects, and of the bronze batches of their step no others.

    The table has commit numbers of its own, each one more than the last, and knows up to which batch it was written. A
    step that was killed before silver had its rows has written rejects already, perhaps by rules that have changed
    since: they are taken back first. The caller holds the lock of silver's writers.

    Args:
        spark: For taking back.
        staged: Rows of the step.
        settings: Durability.
        paths: Whose quarantine table.
        after: Last bronze batch before the step.
        through: Last bronze batch that `staged` was taken from.

    Raises:
        BatchConflictError: another writer committed in between; start the step again.
        DiskFullError: as it says; likewise.
    """
    contract = staged.contract
    path = paths.quarantine(contract.name)
    last = last_commit_of(path, "quarantine")
    number, covered = (0, -1) if last is None else (int(last.metadata["number"]) + 1, int(last.metadata["through"]))
    if covered > after:
        _take_back(spark, contract.name, path, settings, after)
    if staged.files(REJECTED):
        metadata = {"kind": "quarantine", "stream": contract.name, "number": number, "through": through}
        made = _append(staged, Path(path), current_version(path) or 0, metadata)
        settle(path, commit_at(path, made), settings)
    crash_point("after_quarantine")


def _take_back(spark: "SparkSession", stream: str, path: str, settings: Settings, after: int) -> None:
    """Remove what earlier attempts wrote of batches after `after`; their steps may have been longer than this one."""
    with settled(settings, path), spark_errors(), commits_say(spark, {"kind": "taken back", "stream": stream}):
        spark.sql(f"DELETE FROM delta.`{path}` WHERE batch > {after}").collect()  # noqa: S608 - our own path


def send_rejects(staged: Staged, postman: Postman) -> None:
    """Send the rejects to the dead-letter topic, again after a crash: the id header tells repeats apart.

    Raises:
        BrokerUnreachableError: letters were not acknowledged; the table has the records, do the step again.
    """
    postman.post(_letters(staged))
    crash_point("after_dlq_flush")


@storage_errors()
def _append(staged: Staged, table: Path, version: int, metadata: dict[str, object]) -> int:
    """Add the rejects to the table as one commit, the one after `version`."""
    with staging_folder(str(table)) as folder:
        folder.mkdir()
        with lasting_delta_connection() as connection:
            connection.execute(
                f"copy ({rows_of(staged)}) to {literal(str(folder))} "
                "(format parquet, compression zstd, partition_by (arrival_date), overwrite_or_ignore true)"
            )
        transaction = (f"quarantine/{staged.contract.name}", int(str(metadata["number"])))
        return append(table, folder, version, metadata, transaction=transaction, stats=_STATS)


def rows_of(staged: Staged) -> str:
    """A query of DuckDB for the staged rejects, as the quarantine table has them."""
    columns = ", ".join(quarantine_row_of_staged(staged.contract, BROKEN))
    return f"select {columns} from {_rejects(staged)}"  # noqa: S608 - our own files, quoted


def _letters(staged: Staged) -> Iterator[Rejected]:
    """What the topic is told of the staged rejects."""
    with lasting_delta_connection() as connection:
        answer = connection.execute(
            "select _topic_id, _partition, _offset, _reject.key, _reject.record "  # noqa: S608 - our own files, quoted
            f"from {_rejects(staged)}"
        )
        while rows := answer.fetchmany(_AT_ONCE):
            for topic_id, partition, offset, key, record in rows:
                yield Rejected(f"{topic_id}/{partition}/{offset}", key, record)
    # All are on their way, none need have arrived.
    crash_point("before_dlq_flush")


def _rejects(staged: Staged) -> str:
    files = ", ".join(literal(str(file)) for file in staged.files(REJECTED))
    return f"read_parquet([{files}], hive_partitioning = false)"
