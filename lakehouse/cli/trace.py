"""`lakehouse trace`: where a record came from and where it went; and back from a row of a mart.

Here: what was asked for. Not here: the answer (`lake.traces.trace`), how it looks (`cli.trace_view`).
"""

import dataclasses
import re
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from lakehouse.cli.console import err, print_json
from lakehouse.cli.dates import day_option
from lakehouse.cli.services import require_services
from lakehouse.errors import UsageError, nearest

if TYPE_CHECKING:
    from lakehouse.contracts.model import StreamContract

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_PLACE = re.compile(r"^(\d{1,9}):(\d{1,18})$", re.ASCII)
_EXAMPLE = "lakehouse trace sales 3:1200"


class Place(NamedTuple):
    """A record's place in its topic."""

    partition: int
    offset: int


@app.command()
def trace(
    subject: Annotated[str, typer.Argument(metavar="STREAM", help="Stream or topic; also TOPIC:PARTITION:OFFSET.")],
    place: Annotated[str | None, typer.Argument(metavar="PARTITION:OFFSET", help="The record's place.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="Business key; once per key field.")] = None,
    day: Annotated[date | None, day_option("--day", "With --key: the event date, YYYY-MM-DD; reads less.")] = None,
    gold: Annotated[str | None, typer.Option(help="A mart: which records are behind its rows?")] = None,
    where: Annotated[str, typer.Option(help="With --gold: which rows, as DuckDB SQL.")] = "true",
    limit: Annotated[int, typer.Option(help="With --gold: list so many records.", min=1, max=10_000)] = 20,
    show_pii: Annotated[bool, typer.Option("--show-pii", help="Show personal fields and raw content.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Follow a record from Kafka to gold: batch, commit, each rule's verdict, who won its key, where it counts.

    Exit code 0: traced; 10: not in the lake, with the reason; 1: Spark could not be asked.

    \b
    Examples:
      lakehouse trace sales 3:1200
      lakehouse trace sales_events:3:1200 --json
      lakehouse trace sales --key 0b6e9a52-2f0c-4c1d-8a53-0d3c9b1f7e11
      lakehouse trace sales --gold sales_daily --where "event_date = '2026-11-21' and category = 'Books'"
    """  # noqa: D301 - click keeps the lines of a paragraph that begins with a backspace
    from lakehouse.contracts.load import load_streams
    from lakehouse.settings import load_settings

    name, found = asked_for(subject, place)
    contract = resolve(name, load_streams())
    if [found is not None, bool(key), gold is not None].count(True) != 1:
        raise UsageError("Say one of: PARTITION:OFFSET, --key or --gold.", fix=_EXAMPLE)
    if key and len(key) != len(contract.key):
        raise UsageError(
            f"The key of stream {contract.name} is {', '.join(contract.key)}; {len(key)} values were given.",
            fix="Give --key once per field, in this order.",
        )
    settings = load_settings()
    from lakehouse.cli import trace_view
    from lakehouse.lake.traces import trace as work

    require_services(settings)
    with err.status("looking …"):
        if gold is not None:
            cells = work.trace_cell(contract, settings, table=gold, where=where, limit=limit, show_pii=show_pii)
        elif found is not None:
            answer = work.trace_record(contract, settings, found.partition, found.offset, show_pii=show_pii)
        else:
            answer = work.trace_key(contract, settings, key or [], day, show_pii=show_pii)
    if as_json:
        print_json(dataclasses.asdict(cells if gold is not None else answer))
    elif gold is not None:
        trace_view.show_cells(cells)
    else:
        trace_view.show(answer)


def asked_for(subject: str, place: str | None) -> tuple[str, Place | None]:
    """Stream or topic, and the place; `TOPIC:PARTITION:OFFSET` in one word is taken apart.

    Raises:
        UsageError: the place has another form.
    """
    name, colon, rest = subject.partition(":")
    if colon and place is not None:
        raise UsageError(f"{subject!r} and {place!r} both name a place.", fix=_EXAMPLE)
    text = rest if colon else place
    if text is None:
        return name, None
    match = _PLACE.match(text)
    if match is None:
        raise UsageError(f"{text!r} is no PARTITION:OFFSET.", fix=f"Two whole numbers with a colon between: {_EXAMPLE}")
    return name, Place(int(match[1]), int(match[2]))


def resolve(name: str, streams: "Mapping[str, StreamContract]") -> "StreamContract":
    """The stream of that name or with that topic.

    Raises:
        UsageError: when there is none; names the nearest.
    """
    by_topic = {contract.topic.name: contract for contract in streams.values()}
    found = streams.get(name) or by_topic.get(name)
    if found is not None:
        return found
    hint = nearest(name, [*streams, *by_topic], f"Known streams: {', '.join(streams) or 'none'}.")
    raise UsageError(f"There is no stream or topic {name!r}.", fix=hint)
