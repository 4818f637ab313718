"""Durability on a local disk: a commit counts when its files would survive a loss of power.

Here: fsync of what a commit wrote. Not here: object stores, which answer only when they have it. The commit becomes
visible before it is on the disk; a power loss in between leaves a damaged last commit, which the next drain finds
(`lake.damage`) and `lakehouse repair` reads again from Kafka.
"""

import os
from pathlib import Path

from lakehouse.lake.ledger import Commit, files_of
from lakehouse.settings import Settings


def settle(path: str, commit: Commit, settings: Settings) -> None:
    """Bring a commit to the disk: its data files, their folders, the commit file, the log's folder.

    Does nothing with `LAKEHOUSE_DURABILITY=none`.
    """
    if settings.durability == "none":
        return
    table = Path(path)
    files = [table / name for add in commit.added for name in files_of(add)]
    folders = {file.parent for file in files}
    log = table / "_delta_log"
    for target in [*files, *sorted(folders), log / f"{commit.version:020d}.json", log]:
        _fsync(target)


def _fsync(target: Path) -> None:
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
