"""What every `lakehouse produce …` shares: options, the meaning of --from and --to, progress lines.

Here: types and their reading. Not here: what is sent (`sources`).
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.console import err
from lakehouse.errors import UsageError

if TYPE_CHECKING:
    from lakehouse.sources.sales import Now

Brokers = Annotated[str | None, typer.Option(help="Brokers as host:port, comma-separated.", show_default=False)]
TopicName = Annotated[str | None, typer.Option(help="Topic to send to.", show_default=False)]
Config = Annotated[Path | None, typer.Option(help="JSON or YAML file with a section per environment.")]
Section = Annotated[str, typer.Option("--profile", help="Section of the --config file: local, msk, …")]
AsJson = Annotated[bool, typer.Option("--json", help="The summary as one JSON object on stdout.")]


def clock(start: str | None, end: str | None, count: int | None) -> "dict[str, Now]":
    """What --from, --to and --count say about a generator's times: nothing, or its argument `now`.

    Raises:
        UsageError: when they are no times, or do not fit together.
    """
    if start is None and end is None:
        return {}
    from lakehouse.sources.sales import spread_over

    if start is None:
        raise UsageError("--to needs --from.")
    first = _moment("--from", start)
    last = _moment("--to", end) if end else datetime.now(UTC)
    return {"now": spread_over(first, last, count or 0)}


def one_line(text: str) -> None:
    """A line of progress."""
    err.print(text, markup=False, soft_wrap=True)


def _moment(option: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is no time.", fix="Write 2026-01-31 or 2026-01-31T10:30:00Z.") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
