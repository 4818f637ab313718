"""What silver lacks: the bronze batches behind the last one that it holds, with the files they were committed with.

Here: reading that off the log, how many of them make a step. Not here: the step itself (`lake.silver`).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from lakehouse.lake.ledger import commits
from lakehouse.lake.plan import Plan

# From so many on Spark lists files with a job of its own, which asking Delta is not worse than.
_MOST_FILES = 32
_SMALL_BYTES = 32 << 20


class Pending(NamedTuple):
    """A committed bronze batch; `files` is None where the table's log has to be asked which files hold its rows now."""

    plan: Plan
    files: tuple[Path, ...] | None


def pending_batches(bronze: str, after: int) -> list[Pending]:
    """Committed batches with a number above `after`, oldest first."""
    found: list[Pending] = []
    is_as_written = True
    for commit in commits(bronze):
        if commit.metadata.get("kind") != "bronze":
            # Compaction, a repair, retention: from here on what older commits say is not the last word.
            is_as_written = is_as_written and not (commit.added or commit.removed)
            continue
        plan = Plan.from_metadata(commit.metadata)
        if plan.batch <= after:
            break
        files = tuple(Path(bronze, unquote(add["path"])) for add in commit.added)
        found.append(Pending(plan, files if is_as_written else None))
    return found[::-1]


def first_of(pending: list[Pending], max_rows: int) -> list[Pending]:
    """The batches of the next step, oldest first: about `max_rows` rows at most, though a single batch may be more."""
    rows = 0
    for number, batch in enumerate(pending):
        rows += batch.plan.span
        if number and rows > max_rows:
            return pending[:number]
    return pending


def files_of_all(batches: Iterable[Pending]) -> tuple[Path, ...]:
    """The files that hold these batches and nothing else; none where that is not known, or they are too many."""
    files: list[Path] = []
    for batch in batches:
        if batch.files is None:
            return ()
        files += batch.files
    return tuple(files) if len(files) <= _MOST_FILES and all(file.is_file() for file in files) else ()


def is_small(files: Iterable[Path]) -> bool:
    """Whether what the files hold, unpacked, is known to be little for this process to hold."""
    import pyarrow.parquet as pq

    size = 0
    for file in files:
        footer = pq.read_metadata(file)
        size += sum(footer.row_group(number).total_byte_size for number in range(footer.num_row_groups))
    return 0 < size <= _SMALL_BYTES
