"""What is wrong with a table on disk: commits that are empty, torn or missing, data files that are gone or cut off.

Here: looking, with the file system and the Delta log alone. Not here: mending (`lake.repair.mend`), what rows mean
(its neighbours). Readers of Delta tables take an empty last commit for a commit of nothing, so somebody has to look.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from lakehouse.errors import LogDamagedError
from lakehouse.lake.ledger import Commit, commit_numbers, read_commit
from lakehouse.lake.paths import LakePaths, table_exists

Kind = Literal["commit unreadable", "commit missing", "data file missing", "data file cut off"]
LAYERS = ("bronze", "silver", "quarantine", "history")


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong.

    Attributes:
        path: The table.
        kind: What is wrong.
        file: The file concerned, absolute.
        version: The commit concerned; None for a data file.
        newest: Whether it is the table's last commit: only that one can be taken back.
    """

    path: str
    kind: Kind
    file: str
    version: int | None = None
    newest: bool = False

    def __str__(self) -> str:
        what = self.kind if self.version is None else f"{self.kind}: version {self.version}"
        return f"{what}, {self.file}"


@dataclass(frozen=True)
class Look:
    """A table looked at as a whole: what is wrong, and the commits that could be read, oldest first."""

    damage: list[Damage]
    commits: list[Commit]


def require_sound(stream: str, paths: LakePaths) -> None:
    """A cheap look before anything is written: the last commit of each of the stream's tables, and what it added.

    Raises:
        LogDamagedError: names the damage and the command that mends it.
    """
    found = [damage for layer in LAYERS for damage in look_at_the_end(getattr(paths, layer)(stream))]
    if found:
        raise LogDamagedError(
            f"Stream {stream}: {found[0]}{f' and {len(found) - 1} more' if found[1:] else ''}.",
            why="The machine or the disk failed while it was written, or files were deleted.",
            fix=f"lakehouse repair {stream} (docs/runbooks/LOG_DAMAGED.md)",
        )


def look_at_stream(stream: str, paths: LakePaths) -> Look:
    """Everything that is wrong with the stream's tables, and bronze's commits; reads every commit, and file sizes."""
    bronze = look(paths.bronze(stream))
    others = [damage for layer in LAYERS[1:] for damage in look(getattr(paths, layer)(stream)).damage]
    return Look([*bronze.damage, *others], bronze.commits)


def look_at_the_end(path: str) -> list[Damage]:
    """What is wrong with the last commit and the files that it added."""
    if not table_exists(path):
        return []
    newest = max(commit_numbers(path))
    commit = _commit(path, newest)
    if isinstance(commit, Damage):
        return [commit]
    return list(_bad_files(path, ((unquote(add["path"]), add["size"]) for add in commit.added)))


def look(path: str) -> Look:
    """Every commit that the log still has, and every file of the current version."""
    if not table_exists(path):
        return Look([], [])
    versions = sorted(commit_numbers(path))
    found = [
        Damage(path, "commit missing", str(_log(path) / f"{missing:020d}.json"), missing)
        for before, after in pairwise(versions)
        for missing in range(before + 1, after)
    ]
    read = [_commit(path, version) for version in versions]
    commits = [commit for commit in read if isinstance(commit, Commit)]
    found += [bad for bad in read if isinstance(bad, Damage)]
    if found:
        return Look(found, commits)
    from deltalake import DeltaTable

    added = DeltaTable(path).get_add_actions(flatten=True)
    files = zip(map(unquote, added["path"].to_pylist()), added["size_bytes"].to_pylist(), strict=True)
    return Look(list(_bad_files(path, files)), commits)


def _log(path: str) -> Path:
    return Path(path) / "_delta_log"


def _commit(path: str, version: int) -> Commit | Damage:
    """The commit, or what is wrong with it."""
    file = _log(path) / f"{version:020d}.json"
    try:
        return read_commit(file)
    except LogDamagedError:
        return Damage(path, "commit unreadable", str(file), version, newest=version == max(commit_numbers(path)))


def _bad_files(path: str, files: Any) -> Iterator[Damage]:
    for name, size in files:
        file = Path(path) / name
        try:
            actual = file.stat().st_size
        except FileNotFoundError:
            yield Damage(path, "data file missing", str(file))
        else:
            if actual != size:
                yield Damage(path, "data file cut off", str(file))
