"""`lakehouse sink`: copies of silver in other databases.

Here: arguments and the summary. Not here: how a load is done (`lake.sinks`).
"""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.console import print_json
from lakehouse.errors import UsageError

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Copy silver elsewhere.")


@app.callback()
def root() -> None:
    """Copies of silver in other databases, exactly once."""


@app.command()
def postgres(
    stream: Annotated[str, typer.Argument(help="Name of the stream, for example sales.")],
    table: Annotated[str | None, typer.Option(help="table or schema.table. [default: the stream's name]")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Take all of silver, and the table over from another lake.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Bring a PostgreSQL table up to silver; a second call has nothing to do.

    \b
    Rows and the position they bring the table to are one transaction. What a backfill, a replay or an erasure changed
    is found in silver's log: those event dates are taken anew, and rows that are gone are deleted.

    Example: lakehouse sink postgres sales --table shop.sales
    """  # noqa: D301 - click keeps the lines of a paragraph that begins with a backspace
    from lakehouse.contracts.load import load_stream
    from lakehouse.lake.sinks.postgres import load
    from lakehouse.settings import load_settings

    report = load(load_stream(stream), load_settings(), table=table, full=full)
    if as_json:
        print_json(dataclasses.asdict(report))
    elif not report.batch_id:
        typer.echo(f"{report.table}: nothing to do; it equals silver version {report.silver_version}")
    else:
        how = (
            "all of silver"
            if report.full
            else f"{len(report.dates)} event dates anew"
            if report.dates
            else "new batches"
        )
        typer.echo(
            f"{report.table}: {report.rows:,} rows merged, {report.deleted:,} deleted ({how}); "
            f"equals silver version {report.silver_version}, {report.seconds:.1f} s"
        )


@app.command()
def duckdb(
    stream: Annotated[str, typer.Argument(help="Name of the stream, for example sales.")],
    database: Annotated[Path, typer.Option(help="The DuckDB file to load into; made when it is not there.")],
    table: Annotated[str | None, typer.Option(help="Table. [default: the stream's name]")] = None,
    mode: Annotated[str, typer.Option(help="append or overwrite.")] = "overwrite",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Load all of silver into a table of another DuckDB file, in one transaction, every row counted.

    Example: lakehouse sink duckdb sales --database warehouse.duckdb
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.lake.sinks.export import export
    from lakehouse.lake.sinks.warehouse import DuckDbSink
    from lakehouse.settings import load_settings

    if mode not in ("append", "overwrite"):
        raise UsageError(f"--mode {mode!r} is not possible.", fix="Use append or overwrite.")
    contract = load_stream(stream)
    into = table or contract.name
    rows = export(contract, load_settings(), DuckDbSink(database), into, "append" if mode == "append" else "overwrite")
    if as_json:
        print_json({"stream": stream, "database": str(database), "table": into, "mode": mode, "rows": rows})
    else:
        typer.echo(f"{into}: {rows:,} rows of silver in {database} ({mode})")
