"""The ledger: which micro-batch was committed last, read from the Delta log and nowhere else.

Here: commits and the plans in them. Not here: what a plan is (`lake.plan`), making one (`lake.planner`).
"""

import base64
import json
import string
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lakehouse.errors import LogDamagedError
from lakehouse.lake.plan import Plan

_Z85 = string.digits + string.ascii_lowercase + string.ascii_uppercase + ".-:+=^!/*?&<>()[]{}@%$#"
_B85 = string.digits + string.ascii_uppercase + string.ascii_lowercase + "!#$%&()*+-;<=>?@^_`{|}~"
Z85_TO_B85, B85_TO_Z85 = str.maketrans(_Z85, _B85), str.maketrans(_B85, _Z85)
"""Between ZeroMQ's alphabet of base 85, which Delta uses, and Python's."""


@dataclass(frozen=True)
class Commit:
    """One commit of a Delta log: its version, our metadata (empty when it is not ours), Delta's metrics and `add`s.

    `takes_rows` says that rows which were there may be gone or others now; compaction takes none. `removed` has the
    paths of the files that it removes, as the log writes them.
    """

    version: int
    metadata: dict[str, Any]
    metrics: dict[str, Any]
    committed_at: datetime
    added: tuple[dict[str, Any], ...]
    takes_rows: bool = False
    removed: tuple[str, ...] = ()

    @property
    def brings_rows(self) -> bool:
        """Whether files were added that hold rows which were not there before."""
        return any(add.get("dataChange", True) for add in self.added)

    @property
    def added_stats(self) -> list[dict[str, Any]]:
        """The statistics of the files that it added, where they have some."""
        return [json.loads(add["stats"]) for add in self.added if add.get("stats")]


def current_version(path: str) -> int | None:
    """The table's latest version, or None when there is no table.

    Read off the names of its log, from the last checkpoint on. A reader of Delta tables would parse checkpoint and
    commits for it, ten times in every micro-batch; whoever needs what a commit says reads that commit.

    Raises:
        LogDamagedError: a commit is missing.
    """
    log = Path(path) / "_delta_log"
    version = _last_checkpoint(log)
    if version is None:
        numbers = commit_numbers(path)
        if not numbers:
            return None
        version = min(numbers)
    while True:
        if (log / f"{version + 1:020d}.json").is_file():
            version += 1
        elif not (log / f"{version + 2:020d}.json").is_file():
            return version
        # Somebody may have made both while we looked.
        elif not (log / f"{version + 1:020d}.json").is_file():
            raise LogDamagedError(
                f"The Delta log of {path} has no commit {version + 1}, but later ones.",
                why="Its file was deleted, or the disk lost it.",
                fix="See docs/runbooks/LOG_DAMAGED.md.",
            )


def _last_checkpoint(log: Path) -> int | None:
    """The version that the log's own note of its last checkpoint names; None without such a note, or a wrong one."""
    try:
        version = int(json.loads((log / "_last_checkpoint").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    kinds = ("json", "checkpoint.parquet")
    return version if any((log / f"{version:020d}.{kind}").is_file() for kind in kinds) else None


def commit_numbers(path: str) -> list[int]:
    """The numbers of the commits that the table's log has, in no order; none when there is no table."""
    log = Path(path) / "_delta_log"
    return [int(file.stem) for file in log.glob("*.json") if file.stem.isdigit()]


def commits(path: str) -> Iterator[Commit]:
    """The commits of a table, newest first, as far back as the log is kept."""
    version = current_version(path)
    while version is not None and version >= 0:
        file = Path(path) / "_delta_log" / f"{version:020d}.json"
        if not file.is_file():
            return
        yield read_commit(file)
        version -= 1


def commit_at(path: str, version: int) -> Commit:
    """The commit of this version. Raises FileNotFoundError when it is not kept."""
    return read_commit(Path(path) / "_delta_log" / f"{version:020d}.json")


def read_commit(file: Path) -> Commit:
    """Parse one commit file.

    Raises:
        LogDamagedError: when the file is empty or torn; names it.
    """
    version = int(file.stem)
    try:
        actions = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    except ValueError as error:
        raise LogDamagedError(
            f"Commit {version} of {file.parent.parent} is torn: {file}.",
            why="The machine or the disk failed while it was written.",
            fix="See docs/runbooks/LOG_DAMAGED.md.",
        ) from error
    if not actions:
        raise LogDamagedError(
            f"Commit {version} of {file.parent.parent} is empty: {file}.",
            why="The machine lost power before the file reached the disk.",
            fix="See docs/runbooks/LOG_DAMAGED.md.",
        )
    return Commit(
        version=version,
        metadata=_own_metadata(info.get("userMetadata")),
        metrics=info.get("operationMetrics") or {},
        committed_at=datetime.fromtimestamp(int(info.get("timestamp", 0)) / 1000, UTC),
        added=tuple(action["add"] for action in actions if "add" in action),
        takes_rows=any(action["remove"].get("dataChange", True) for action in actions if "remove" in action),
        removed=tuple(action["remove"]["path"] for action in actions if "remove" in action),
    )


def last_commit_of(path: str, kind: str) -> Commit | None:
    """The newest commit that carries our metadata of this kind; None when the log has none."""
    for commit in commits(path):
        if commit.metadata.get("kind") == kind:
            return commit
    return None


def plans(path: str) -> Iterator[tuple[Plan, Commit]]:
    """The committed bronze batches, newest first, as far back as the log is kept."""
    yield from plans_in(commits(path))


def plans_in(read: Iterable[Commit]) -> Iterator[tuple[Plan, Commit]]:
    """The bronze batches among commits that are read already, in their order."""
    for commit in read:
        if commit.metadata.get("kind") == "bronze":
            yield Plan.from_metadata(commit.metadata), commit


def last_plan(path: str) -> tuple[Plan, Commit] | None:
    """The bronze batch committed last, with its commit; None when nothing was ever ingested."""
    return next(plans(path), None)


def offsets_read(path: str) -> int:
    """`Plan.offsets_read` of the batch committed last; 0 when nothing was ever ingested."""
    known = last_plan(path)
    return known[0].offsets_read if known else 0


def merged_through(silver_path: str) -> int:
    """The last bronze batch that silver holds; -1 when it holds none."""
    commit = last_commit_of(silver_path, "silver")
    return -1 if commit is None else int(commit.metadata["through"])


def files_of(add: dict[str, Any]) -> list[str]:
    """Names, relative to the table, of the files behind one `add`: the data file and its deletion vector's, if any."""
    vector = add.get("deletionVector") or {}
    if vector.get("storageType") != "u":
        return [unquote(add["path"])]
    # A prefix of any length, then a UUID in 20 characters of ZeroMQ's base 85.
    text = vector["pathOrInlineDv"]
    prefix, code = text[:-20], text[-20:].translate(Z85_TO_B85)
    name = f"deletion_vector_{uuid.UUID(bytes=base64.b85decode(code))}.bin"
    return [unquote(add["path"]), f"{prefix}/{name}" if prefix else name]


def _own_metadata(text: str | None) -> dict[str, Any]:
    if not text or not text.startswith("{"):
        return {}
    data = json.loads(text)
    return data if isinstance(data, dict) and "kind" in data else {}
