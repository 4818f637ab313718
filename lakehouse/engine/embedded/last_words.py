"""What a process said last that sounds like a reason. Here: choosing a line. Not here: whether the process is well."""

from collections.abc import Iterable
from pathlib import Path

_TELLING = ("ERROR", "FATAL", "Exception", "Error")
# Java says what is wrong with its options in the line after this one.
_HEADING = "Error occurred during initialization of VM"
_NEWEST_LINES = 200
_MOST_CHARACTERS = 300


def reason_in(lines: list[str]) -> str | None:
    """The last of the lines that names an error; None when none does."""
    newest = lines[-_NEWEST_LINES:]
    telling = [number for number, line in enumerate(newest) if any(word in line for word in _TELLING)]
    if not telling:
        return None
    last = telling[-1]
    what = newest[last : last + 2] if _HEADING in newest[last] else newest[last : last + 1]
    return ": ".join(line.strip() for line in what)[:_MOST_CHARACTERS]


def last_words(logs: Iterable[Path]) -> str | None:
    """The last line that names an error, out of the log that was written last and has one."""
    written = sorted((log for log in logs if log.is_file()), key=lambda log: log.stat().st_mtime, reverse=True)
    reasons = (reason_in(log.read_text(encoding="utf-8", errors="replace").splitlines()) for log in written)
    return next(filter(None, reasons), None)
