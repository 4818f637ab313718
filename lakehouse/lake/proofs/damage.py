"""What is wrong with a table on disk: commits that are empty, torn or missing, data files that are gone or cut off.

Here: looking, with the file system and the Delta log alone. Not here: mending (`lake.repair.mend`), what rows mean
(`lake.proofs`). Readers of Delta tables take an empty last commit for a commit of nothing, so somebody has to look.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from lakehouse.errors import LogDamagedError
from lakehouse.lake.ledger import read_commit
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


def require_sound(stream: str, paths: LakePaths) -> None:
    """A cheap look before anything is written: the last commit of each of the stream's tables, and what it added.

    Raises:
        LogDamagedError: names the damage and the command that mends it.
    """
    found = [damage for layer in LAYERS for damage in look_at_the_end(_table(paths, layer, stream))]
    if found:
        raise LogDamagedError(
            f"Stream {stream}: {found[0]}{f' and {len(found) - 1} more' if found[1:] else ''}.",
            why="The machine or the disk failed while it was written, or files were deleted.",
            fix=f"lakehouse repair {stream} (docs/runbooks/LOG_DAMAGED.md)",
        )


def look_at_stream(stream: str, paths: LakePaths) -> list[Damage]:
    """Everything that is wrong with the stream's tables; reads every commit and the size of every file."""
    return [damage for layer in LAYERS for damage in look(_table(paths, layer, stream))]


def look_at_the_end(path: str) -> list[Damage]:
    """What is wrong with the last commit and the files that it added."""
    if not table_exists(path):
        return []
    newest = max(_log_files(path))
    actions = _actions(path, newest)
    if isinstance(actions, Damage):
        return [actions]
    return list(_bad_files(path, ((unquote(add["path"]), add["size"]) for add in actions)))


def look(path: str) -> list[Damage]:
    """What is wrong with any commit that the log still has, and with any file of the current version."""
    if not table_exists(path):
        return []
    versions = sorted(_log_files(path))
    found = [
        Damage(path, "commit missing", str(_log(path) / f"{missing:020d}.json"), missing)
        for before, after in pairwise(versions)
        for missing in range(before + 1, after)
    ]
    found += [bad for bad in (_actions(path, version) for version in versions) if isinstance(bad, Damage)]
    if found:
        return found
    from deltalake import DeltaTable

    added = DeltaTable(path).get_add_actions(flatten=True)
    files = zip(map(unquote, added["path"].to_pylist()), added["size_bytes"].to_pylist(), strict=True)
    return list(_bad_files(path, files))


def _table(paths: LakePaths, layer: str, stream: str) -> str:
    path: str = getattr(paths, layer)(stream)
    return path


def _log(path: str) -> Path:
    return Path(path) / "_delta_log"


def _log_files(path: str) -> Iterator[int]:
    with os.scandir(_log(path)) as entries:
        for entry in entries:
            stem, _, suffix = entry.name.partition(".")
            if suffix == "json" and stem.isdigit():
                yield int(stem)


def _actions(path: str, version: int) -> list[dict[str, Any]] | Damage:
    """The files that a commit added, or what is wrong with the commit."""
    file = _log(path) / f"{version:020d}.json"
    try:
        return list(read_commit(file).added)
    except LogDamagedError:
        return Damage(path, "commit unreadable", str(file), version, newest=version == max(_log_files(path)))


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
