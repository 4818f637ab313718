"""Deleting from disk what a table no longer needs: replaced data files, leftovers of killed writers, old commits.

Delta's own rule holds: nothing younger than the retention goes, because a running writer may be about to commit it and
a reader may still use it. Here: the deleting, and what gold and the ledger hold back. Not here: rewriting files
(`lake.maintenance.compaction`).
"""

import os
import re
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from lakehouse.engine.spark import expect_rows, spark_errors
from lakehouse.errors import UsageError
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.guards.locks import Guard, LockBusyError
from lakehouse.lake.ledger import current_version, read_commit

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LEAST_HOURS = 168
_PROPERTY = "delta.deletedFileRetentionDuration"
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet")
_LOG_FILE = re.compile(r"\.?(\d{20})\.")


class Removed(NamedTuple):
    """Files deleted (or, in a dry run, that would be) and their bytes; `held_back` says why none was."""

    files: int = 0
    bytes: int = 0
    held_back: str = ""


def require_retention(hours: int) -> None:
    """Refuse to delete what somebody may still need.

    Raises:
        UsageError: for less than 168 hours.
    """
    if hours < LEAST_HOURS:
        raise UsageError(
            f"Replaced files must stay for {LEAST_HOURS} hours at least, not {hours}.",
            why="Running writers, readers and the version that gold was built from need them.",
            fix=f"Set LAKEHOUSE_VACUUM_HOURS to {LEAST_HOURS} or more.",
        )


def vacuum(
    spark: "SparkSession",
    path: str,
    hours: int,
    *,
    guard: Guard = nullcontext,
    pinned: int | None = None,
    dry_run: bool = False,
) -> Removed:
    """Delete the files that no version of the last `hours` hours needs.

    Args:
        spark: A session.
        path: The table.
        hours: Retention, at least 168.
        guard: Held while the table's properties are changed.
        pinned: A version that must stay readable however old it is.
        dry_run: Only count, up to Delta's limit of 1,000 files.

    Raises:
        UsageError: the retention is too short.
    """
    require_retention(hours)
    # Spark is to list the folder that the table is in, not a link to it.
    path = os.path.realpath(path)
    held_back = _held_back(path, pinned, hours)
    if held_back:
        return Removed(held_back=held_back)
    # Without a commit for its start and one for its end, which would make the ledger's walk longer each day.
    spark.conf.set("spark.databricks.delta.vacuum.logging.enabled", "false")
    with spark_errors():
        if dry_run:
            listed = [
                Path(unquote(row[0].removeprefix("file:")))
                for row in spark.sql(f"VACUUM delta.`{path}` DRY RUN").collect()
            ]
            return Removed(len(listed), sum(file.stat().st_size for file in listed if file.is_file()))
        try:
            _set_retention(spark, path, hours, guard)
        except LockBusyError as busy:
            return Removed(held_back=f"process {busy.holder} writes the table; the next run does it")
        before = _files_on_disk(path)
        expect_rows(spark, len(before))
        spark.sql(f"VACUUM delta.`{path}`").collect()
        after = _files_on_disk(path)
    gone = before.keys() - after.keys()
    return Removed(len(gone), sum(before[name] for name in gone))


def vacuum_events(path: str, hours: int, *, dry_run: bool = False) -> Removed:
    """As `vacuum` for `ops/events`, with delta-rs.

    Raises:
        UsageError: the retention is too short.
    """
    require_retention(hours)
    from deltalake import DeltaTable

    before = _files_on_disk(path)
    names = DeltaTable(path).vacuum(retention_hours=hours, dry_run=dry_run)
    return Removed(len(names), sum(before.get(name, 0) for name in names))


def trim_log(path: str, needed: int | None, keep_days: int) -> int:
    """Delete commits older than `keep_days` before the last checkpoint that leaves every needed commit in place.

    Delta's own cleanup goes by age alone and is switched off on the tables that carry a ledger: the newest batch of a
    stream that rested for longer would be forgotten, and its topic read again from the start.

    Args:
        path: The table.
        needed: The oldest version that must stay; None when not even that is known, then nothing goes.
        keep_days: Age in days, by the time at which a commit was written.

    Returns:
        Files deleted.
    """
    if needed is None:
        return 0
    log = Path(path) / "_delta_log"
    limit = datetime.now(UTC) - timedelta(days=keep_days)
    names = [file.name for file in log.iterdir()]
    checkpoints = [int(match[1]) for match in map(_CHECKPOINT.fullmatch, names) if match]
    bases = [v for v in checkpoints if v <= needed and _written_at(log / f"{v:020d}.json") < limit]
    if not bases:
        return 0
    versions = {name: int(match[1]) for name in names if (match := _LOG_FILE.match(name))}
    old = [name for name in versions if versions[name] < max(bases)]
    # Oldest first: when this is interrupted, what is left is still one chain.
    for name in sorted(old, key=lambda name: versions[name]):
        (log / name).unlink(missing_ok=True)
    return len(old)


def _held_back(path: str, pinned: int | None, hours: int) -> str:
    """Why nothing may be deleted: files of the pinned version were replaced longer ago than the retention."""
    if pinned is None or pinned == current_version(path):
        return ""
    successor = Path(path) / "_delta_log" / f"{pinned + 1:020d}.json"
    if not successor.is_file():
        return ""
    replaced = read_commit(successor).committed_at
    # One hour for the time between writing a file's removal down and committing it.
    if datetime.now(UTC) - replaced < timedelta(hours=hours - 1):
        return ""
    return f"gold still shows version {pinned}, replaced on {replaced:%Y-%m-%d}; run: lakehouse gold build"


@again_after_conflict
def _set_retention(spark: "SparkSession", path: str, hours: int, guard: Guard) -> None:
    """Write the retention into the table, where VACUUM and time travel take it from; it stays as it is when equal."""
    properties = spark.sql(f"DESCRIBE DETAIL delta.`{path}`").collect()[0]["properties"]
    wanted = f"interval {hours} hours"
    if properties.get(_PROPERTY, f"interval {LEAST_HOURS} hours") != wanted:
        with guard(), spark_errors():
            spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('{_PROPERTY}' = '{wanted}')").collect()


def _files_on_disk(path: str) -> dict[str, int]:
    """Every file outside the log, by its path below the table, with its size."""
    root = Path(path)
    found = {}
    for folder, folders, names in os.walk(root):
        if "_delta_log" in folders:
            folders.remove("_delta_log")
        for name in names:
            file = Path(folder) / name
            try:
                found[str(file.relative_to(root))] = file.stat().st_size
            except FileNotFoundError:
                continue
    return found


def _written_at(commit: Path) -> datetime:
    return datetime.fromtimestamp(commit.stat().st_mtime, UTC) if commit.is_file() else datetime.now(UTC)
