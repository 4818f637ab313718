"""What a file system's refusal means: from the words that Java, Rust and Python have for it to a typed error.

Here: the translation. Not here: catching (`engine.spark`; `lake.events` for delta-rs; `lake.gold.builds` for DuckDB).
"""

from lakehouse.errors import DiskFullError, LakehouseError, SetupError

_FULL = ("No space left on device", "Disk quota exceeded")
_FORBIDDEN = ("Read-only file system", "Permission denied")


def storage_error(error: BaseException) -> LakehouseError | None:
    """The typed error when a disk is full or may not be written; None when the error says something else."""
    for line in str(error).splitlines():
        if any(mark in line for mark in _FULL):
            return DiskFullError(
                "The disk is full; what was being written was not committed.",
                why=_shortened(line),
                fix="Free space where the lake and LAKEHOUSE_HOME live, then run the same command again.",
            )
        if any(mark in line for mark in _FORBIDDEN):
            return SetupError(
                "The lake or the state folder cannot be written; what was being written was not committed.",
                why=_shortened(line),
                fix="Let this user write there, then run the same command again.",
            )
    return None


def _shortened(line: str) -> str:
    """The end of a long line: the reason stands behind the path."""
    return line.strip()[-200:]
