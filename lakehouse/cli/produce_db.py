"""`lakehouse produce db`: send the rows of a database table that changed.

Here: arguments and summary. Not here: reading and sending (`sources.extract`).
"""

import dataclasses
from datetime import date
from typing import Annotated

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.cli.dates import day_option
from lakehouse.errors import EXIT_INTERRUPTED, UsageError


def db(
    table: Annotated[str, typer.Option(help="table or schema.table in the database of LAKEHOUSE_SOURCE_URL.")],
    stream: Annotated[str, typer.Option(help="The stream whose topic gets the rows.")] = "orders_batch",
    key: Annotated[
        str | None, typer.Option(help="Columns that identify a row, comma-separated. [default: the stream's key]")
    ] = None,
    updated: Annotated[str, typer.Option(help="Column with the time of a row's last change.")] = "updated_at",
    overlap: Annotated[str, typer.Option(help="A new run begins so long before the last one ended.")] = "5m",
    page: Annotated[int, typer.Option(min=1, help="Rows that are sent, acknowledged and noted together.")] = 5_000,
    day: Annotated[date | None, day_option("--date", "Send the rows of this day (UTC) instead.")] = None,
    day_column: Annotated[str, typer.Option("--date-column", help="Column that --date is about.")] = "created_at",
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, with all rows.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object on stdout.")] = False,
) -> None:
    """Send the rows of a table that changed since the last run, as JSON. A killed run goes on where it was.

    Rows of the overlap are sent again, which the stream's key makes one row in silver. Deleted rows are not seen.

    Example: lakehouse produce db --stream orders_batch --table public.orders
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.contracts.types import parse_duration
    from lakehouse.settings import load_settings
    from lakehouse.sources.extract import Extract, extract
    from lakehouse.sources.producer import stop_on_signals

    contract = load_stream(stream)
    try:
        wanted = Extract(
            table=table,
            key=tuple(key.split(",")) if key else tuple(contract.field(name).key for name in contract.key),
            updated=updated,
            overlap=parse_duration(overlap),
            page=page,
            day=day,
            day_column=day_column,
        )
    except ValueError as error:
        raise UsageError(str(error).capitalize() + ".", fix="Write --overlap 5m.") from error
    with stop_on_signals() as stop:
        summary = extract(contract, load_settings(), wanted, stop=stop, report=_report, restart=restart)
    if summary.without_time:
        _report(f"note: {summary.without_time:,} rows have no {updated}; no run will send them")
    if as_json:
        print_json({"topic": contract.topic.name, "table": table, **dataclasses.asdict(summary)})
    else:
        went_on = " (went on with the run before)" if summary.resumed else ""
        out.print(f"sent {summary.rows:,} rows of {table} to {contract.topic.name}{went_on}", markup=False)
    if summary.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)


def _report(line: str) -> None:
    err.print(line, markup=False, soft_wrap=True)
