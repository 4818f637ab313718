"""`lakehouse relay`: pass records from one topic to another, exactly once."""

import dataclasses
import signal
import threading
from typing import Annotated

import typer

from lakehouse.cli.console import err, print_json
from lakehouse.errors import UsageError
from lakehouse.settings import load_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def relay(
    source: str = typer.Argument(help="Topic to read."),
    target: str = typer.Argument(help="Topic to write; <target>.dlq takes what cannot be enriched."),
    add: Annotated[
        list[str] | None, typer.Option("--add", help="A field to add to each JSON object: name=value.")
    ] = None,
    idle: float = typer.Option(5.0, "--idle", help="End when nothing new came for so many seconds.", min=0.1),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Pass records on in Kafka transactions: each exactly once for readers with read_committed, also after a crash.

    Example: lakehouse relay orders orders_enriched --add region=eu --idle 10
    """
    fields = dict(_field(text) for text in add or [])
    settings = load_settings()
    from lakehouse.kafka.relay import add_fields
    from lakehouse.kafka.relay import relay as run
    from lakehouse.kafka.topics_file import topic_named

    source, target = topic_named(source), topic_named(target)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with err.status(f"relaying {source} to {target} …") as status:
        done = run(
            settings,
            source,
            target,
            add_fields(fields),
            idle_seconds=idle,
            stop=stop,
            report=lambda so_far: status.update(f"{so_far.passed:,} records in {so_far.commits} transactions"),
        )
    if as_json:
        print_json(dataclasses.asdict(done))
    else:
        typer.echo(
            f"{done.passed:,} records to {target}, {done.set_aside:,} to {target}.dlq, "
            f"{done.commits} transactions, {done.aborts} aborted"
        )


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--add {text!r} is no name=value.", fix="For example: --add region=eu")
    return name, value
