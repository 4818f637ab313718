"""What a file system's refusal means: from the words that Java, Rust and Python have for it to a typed error.

Here: the translation. Not here: Spark's other errors (`engine.spark`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.errors import DiskFullError, LakehouseError, SetupError

# The third is DuckDB's, whose files on their way to the disk may take what is free there and no more.
_FULL = ("No space left on device", "Disk quota exceeded", "max_temp_directory_size")
_FORBIDDEN = ("Read-only file system", "Permission denied")
# Hadoop gives no reason when it cannot make a folder.
_NO_FOLDER = "Mkdirs failed to create file:"


@contextmanager
def storage_errors() -> Iterator[None]:
    """A full disk, or one that may not be written, as a typed error; other errors pass unchanged.

    Raises:
        DiskFullError: no space was left for what was to be written.
        SetupError: what was to be written may not be written.
    """
    try:
        yield
    except LakehouseError:
        raise
    except Exception as error:
        refused = storage_error(error)
        if refused is None:
            raise
        raise refused from error


def storage_error(error: BaseException) -> LakehouseError | None:
    """The typed error when a disk is full or may not be written; None when the error says something else."""
    for line in str(error).splitlines():
        has_no_folder = _NO_FOLDER in line
        is_forbidden = has_no_folder and not _is_writable(line.partition(_NO_FOLDER)[2].partition(" (")[0])
        if is_forbidden or any(mark in line for mark in _FORBIDDEN):
            return SetupError(
                "The lake or the state folder cannot be written; what was being written was not committed.",
                why=_shortened(line),
                fix="Let this user write there, then run the same command again.",
            )
        if has_no_folder or any(mark in line for mark in _FULL):
            return DiskFullError(
                "The disk is full; what was being written was not committed.",
                why=_shortened(line),
                fix="Free space where the lake and LAKEHOUSE_HOME live, then run the same command again.",
            )
    return None


def _is_writable(folder: str) -> bool:
    """May folders be made in the nearest folder above that is there?"""
    return os.access(next(parent for parent in Path(folder).parents if parent.exists()), os.W_OK)


def _shortened(line: str) -> str:
    """The end of a long line: the reason stands behind the path."""
    return line.strip()[-200:]
