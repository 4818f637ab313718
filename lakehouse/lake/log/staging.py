"""A folder for data files that a table will take: on its disk, under a name that readers of Delta tables pass over.

Here: the folder, and what its names say. Not here: what is written there, the commit (`commit`).
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote
from uuid import uuid4

from lakehouse.engine.storage import storage_errors

_FOLDER = "_staged"
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_ABANDONED_SECONDS = 24 * 3600.0


@contextmanager
def staging_folder(table: str) -> Iterator[Path]:
    """The address of a folder that is not there yet; gone afterwards, with whatever no commit took.

    Raises:
        DiskFullError, SetupError: as they say.
    """
    root = Path(table) / _FOLDER
    with storage_errors():
        root.mkdir(exist_ok=True)
    for left in root.iterdir():
        # Whoever made it was killed: no step takes a day.
        if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    folder = root / uuid4().hex
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def staged_files(table: str) -> Iterator[Path]:
    """The data files that are being made for a table and that no commit names."""
    # Unlike a glob, it does not mind folders that go while it looks.
    for folder, _, names in os.walk(Path(table) / _FOLDER):
        yield from (Path(folder) / name for name in names if name.endswith(".parquet"))


def partition_of(file: Path, root: Path) -> dict[str, str | None]:
    """The partition values that the folders between `root` and a file name, as Delta's log writes them."""
    pairs = (step.partition("=") for step in file.parent.relative_to(root).parts)
    return {name: None if value == _NO_VALUE else unquote(value) for name, _, value in pairs}
