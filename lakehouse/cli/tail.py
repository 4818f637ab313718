"""`lakehouse tail`: the records of a topic as they come. Here: printing. Not here: reading (`kafka.tail`)."""

import json
import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.errors import UsageError

if TYPE_CHECKING:
    from lakehouse.kafka.tail import Record

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def tail(
    topic: Annotated[str, typer.Argument(help="Name of the topic.")],
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="From the first record that exists.")
    ] = False,
    count: Annotated[int | None, typer.Option("--count", "-n", help="End after so many records.")] = None,
    once: Annotated[bool, typer.Option("--once", help="End where the topic ends now instead of waiting.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with offset, time, key.")] = False,
) -> None:
    """Print a topic's records, one a line, until Ctrl-C. Reads committed records only and commits nothing.

    Examples:
      lakehouse tail sales_events --from-beginning

      lakehouse tail sales_events --from-beginning --once --json
    """
    from lakehouse.kafka.tail import follow
    from lakehouse.settings import load_settings
    from lakehouse.sources.producer import stop_on_signals

    if count is not None and count < 1:
        raise UsageError(f"--count {count} is not possible.", fix="Give 1 or more.")
    with stop_on_signals() as stop:
        records = follow(load_settings(), topic, from_beginning=from_beginning or once, is_endless=not once, stop=stop)
        for record in islice(records, count):
            sys.stdout.write((_as_json(record) if as_json else _text(record.value)) + "\n")
            sys.stdout.flush()


def _as_json(record: "Record") -> str:
    return json.dumps(
        {
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp.isoformat(),
            "key": None if record.key is None else _text(record.key),
            "value": None if record.value is None else _text(record.value),
            "headers": {name: None if value is None else _text(value) for name, value in record.headers},
        },
        ensure_ascii=False,
    )


def _text(value: bytes | None) -> str:
    return "(null)" if value is None else value.decode("utf-8", errors="backslashreplace")
