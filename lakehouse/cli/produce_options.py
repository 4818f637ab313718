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


def clock(start: datetime | None, end: datetime | None, count: int | None) -> "dict[str, Now]":
    """What --from, --to and --count say about a generator's times: nothing, or its argument `now`.

    Raises:
        UsageError: when they do not fit together.
    """
    if start is None and end is None:
        return {}
    from lakehouse.sources.sales import spread_over

    if start is None:
        raise UsageError("--to needs --from.")
    return {"now": spread_over(start, end or datetime.now(UTC), count or 0)}


def one_line(text: str) -> None:
    """A line of progress."""
    err.print(text, markup=False, soft_wrap=True)
