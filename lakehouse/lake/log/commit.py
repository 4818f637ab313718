"""One commit of ours to a Delta table on a local disk: whole or not at all, and never in another's place.

Here: the commit file and the files it names being moved where it says. Not here: what it says (`adopt`,
`lake.quarantine`), statistics (`actions`).

Spark writes to the same logs (compaction, backfill, columns). All of them hold the stream's lock, because Spark's log
store for local disks looks and renames in two steps; whoever commits without it is found by looking again afterwards.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

from lakehouse.errors import BatchConflictError

# Readers begin at the last checkpoint and read every commit since.
_CHECKPOINT_EVERY = 10


@dataclass(frozen=True)
class Operation:
    """What a commit tells of itself: Delta's name for it, our metadata, its counts."""

    name: str
    metadata: Mapping[str, Any]
    metrics: Mapping[str, int]
    is_blind_append: bool = False


def moved(file: Path, root: Path, table: Path) -> Path:
    """Put a staged file among the files of its partition, under a name of its own: all files of a task share theirs."""
    folder = table / file.parent.relative_to(root)
    folder.mkdir(parents=True, exist_ok=True)
    return file.rename(folder / f"part-{uuid4()}.zstd.parquet")


def commit(
    table: Path,
    read: int | None,
    operation: Operation,
    actions: Iterable[Mapping[str, Any]],
    *,
    transaction: tuple[str, int] | None = None,
) -> int:
    """Make the commit after version `read`, and a checkpoint when it is time for one.

    Args:
        table: The table.
        read: The version that the actions were made from; None for a table that is made by them.
        operation: What the commit tells of itself.
        actions: What it does: mostly `add`s and `remove`s.
        transaction: Application id and number, for those who ask the table how far it is.

    Returns:
        The version that was made.

    Raises:
        BatchConflictError: there is one already; nothing of ours can be seen.
    """
    now = int(time.time() * 1000)
    made = 0 if read is None else read + 1
    opening: list[Mapping[str, Any]] = [{"commitInfo": _commit_info(now, read, operation)}]
    if transaction:
        opening.append({"txn": {"appId": transaction[0], "version": transaction[1], "lastUpdated": now}})
    _publish(table, made, [*opening, *actions])
    if made and made % _CHECKPOINT_EVERY == 0:
        from deltalake import DeltaTable

        DeltaTable(str(table)).create_checkpoint()
    return made


def _commit_info(now: int, read: int | None, operation: Operation) -> dict[str, Any]:
    return {
        "timestamp": now,
        "operation": operation.name,
        "operationParameters": {},
        **({} if read is None else {"readVersion": read}),
        "isBlindAppend": operation.is_blind_append,
        "operationMetrics": {name: str(count) for name, count in operation.metrics.items()},
        "userMetadata": json.dumps(dict(operation.metadata)),
        "engineInfo": _engine(),
        "txnId": str(uuid4()),
    }


@cache
def _engine() -> str:
    return f"lakehouse/{version('lakehouse')}"


def _publish(table: Path, number: int, actions: Iterable[Mapping[str, Any]]) -> None:
    log = table / "_delta_log"
    text = "".join(json.dumps(action, separators=(",", ":")) + "\n" for action in actions)
    draft = log / f".{number:020d}.json.{uuid4().hex}.tmp"
    target = log / f"{number:020d}.json"
    try:
        draft.write_text(text, encoding="utf-8")
        os.link(draft, target)
    except FileExistsError as error:
        raise _lost_race(table, number) from error
    finally:
        draft.unlink(missing_ok=True)
    if target.read_text(encoding="utf-8") != text:
        raise _lost_race(table, number)


def _lost_race(table: Path, number: int) -> BatchConflictError:
    return BatchConflictError(
        f"Another writer made commit {number} of {table} first.",
        why="Two drains ran at once, or somebody changed the table by hand.",
        fix="Nothing: what was to be written is planned again.",
    )
