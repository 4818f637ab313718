"""What a process said last that sounds like a reason. Here: choosing a line. Not here: whether the process is well."""

from collections.abc import Iterable
from pathlib import Path

_TELLING = ("ERROR", "FATAL", "Exception", "Error")
_NEWEST_LINES = 200
_MOST_CHARACTERS = 300


def reason_in(lines: list[str]) -> str | None:
    """The last of the lines that names an error; None when none does."""
    telling = [line for line in lines[-_NEWEST_LINES:] if any(word in line for word in _TELLING)]
    return telling[-1].strip()[:_MOST_CHARACTERS] if telling else None


def last_words(logs: Iterable[Path]) -> str | None:
    """The last line that names an error, out of the first log that has one."""
    for log in logs:
        if log.is_file():
            reason = reason_in(log.read_text(encoding="utf-8", errors="replace").splitlines())
            if reason is not None:
                return reason
    return None
