"""`lakehouse produce queue`: send the messages of a queue that applications keep in PostgreSQL.

Here: arguments and summary. Not here: taking messages and sending them (`sources.queue`).
"""

import dataclasses
from typing import Annotated

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.errors import EXIT_INTERRUPTED


def queue(
    table: Annotated[str, typer.Option(help="table or schema.table in the database of LAKEHOUSE_SOURCE_URL.")],
    stream: Annotated[str, typer.Option(help="The stream whose topic gets the messages.")] = "user_events",
    topic: Annotated[str | None, typer.Option(help="Another topic than the stream's.")] = None,
    page: Annotated[int, typer.Option(min=1, help="Messages sent, acknowledged and deleted together.")] = 1_000,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for more, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object on stdout.")] = False,
) -> None:
    """Take the messages out of a queue table and send them. Each is deleted once the broker has acknowledged it.

    A killed run leaves what it had not finished in the queue; it is sent again, and the stream's key makes repeats one.
    Several readers may share a queue.

    Example: lakehouse produce queue --stream user_events --table public.event_queue --follow
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.settings import load_settings
    from lakehouse.sources.producer import stop_on_signals
    from lakehouse.sources.queue import drain_queue

    target = topic or load_stream(stream).topic.name
    with stop_on_signals() as stop:
        summary = drain_queue(
            load_settings(), table=table, topic=target, page=page, follow=follow, stop=stop,
            report=lambda line: err.print(line, markup=False, soft_wrap=True),
        )  # fmt: skip
    if as_json:
        print_json({"topic": target, "table": table, **dataclasses.asdict(summary)})
    else:
        out.print(f"sent {summary.messages:,} messages of {table} to {target}", markup=False)
    if summary.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
