"""Dates and times as options: the command gets a `date` or a `datetime`, the user everywhere the same error.

Here: reading them. Not here: which of them make sense for a command.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import typer

from lakehouse.errors import UsageError


def day_option(name: str, what: str) -> Any:
    """An option for a calendar date (UTC); `what` is its help."""
    return typer.Option(name, parser=parse_day(name), help=what)


def moment_option(name: str, what: str) -> Any:
    """An option for a date or time: UTC unless it names a zone, midnight unless it names an hour."""
    return typer.Option(name, parser=_parse_moment(name), help=what)


def parse_day(option: str) -> Callable[[str], date]:
    """A parser of calendar dates, for arguments too; `option` is named when the text is none."""

    def parse(text: str) -> date:
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise UsageError(
                f"{option} {text!r} is no date.".lstrip(), fix="Write it as YYYY-MM-DD, for example 2026-11-01."
            ) from error

    # What --help shows as the option's type.
    parse.__name__ = "date"
    return parse


def _parse_moment(option: str) -> Callable[[str], datetime]:
    def parse(text: str) -> datetime:
        try:
            found = datetime.fromisoformat(text)
        except ValueError as error:
            raise UsageError(
                f"{option} {text!r} is no time.", fix="Write it as 2026-11-01 or 2026-11-01T06:00:00Z."
            ) from error
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

    parse.__name__ = "time"
    return parse
