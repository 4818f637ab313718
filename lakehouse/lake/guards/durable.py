"""Durability on a local disk: a commit counts when its files would survive a loss of power.

Here: fsync of what a commit wrote. Not here: object stores, which answer only when they have it. The commit becomes
visible before it is on the disk; a power loss in between leaves a damaged last commit, which the next drain finds
(`lake.proofs.damage`) and `lakehouse repair` reads again from Kafka.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.lake.ledger import Commit, commits, current_version, files_of
from lakehouse.settings import Settings


def settle(path: str, commit: Commit, settings: Settings) -> None:
    """Bring a commit to the disk: its data files, the folders down to them, the commit file, the log's folder.

    Does nothing with `LAKEHOUSE_DURABILITY=none`.
    """
    if settings.durability == "none":
        return
    table = Path(path)
    files = [table / name for add in commit.added for name in files_of(add)]
    # A partition's first file: the folder's own name stands in the table's folder.
    folders = {folder for file in files for folder in file.parents if folder.is_relative_to(table)}
    log = table / "_delta_log"
    made = [table, table.parent] if commit.version == 0 else []
    for target in [*files, *sorted(folders), log / f"{commit.version:020d}.json", log, *made]:
        fsync(target)


@contextmanager
def settled(settings: Settings, *paths: str) -> Iterator[None]:
    """Bring whatever is committed to these tables within the block to the disk, in their order, by whomever it was.

    For work of which not each commit is in the caller's hand. Does nothing with `LAKEHOUSE_DURABILITY=none`.
    """
    if settings.durability == "none":
        yield
        return
    before = {path: current_version(path) for path in paths}
    yield
    for path, known in before.items():
        last = -1 if known is None else known
        for commit in commits(path):
            if commit.version <= last:
                break
            settle(path, commit, settings)


def settle_folder(folder: str) -> None:
    """Bring everything below a folder to the disk, and the folder's own name; for files that no commit names."""
    root = Path(folder)
    for target in [*sorted(root.rglob("*")), root, root.parent]:
        fsync(target)


def fsync(target: Path) -> None:
    """Bring one file or folder to the disk."""
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
