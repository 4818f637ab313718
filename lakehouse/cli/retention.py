"""`lakehouse retention`: days that retention deleted and the archive still has.

Here: arguments and printing. Not here: deleting them (`cli.maintain`), copying them (`lake.maintenance.restored`).
"""

import dataclasses
from datetime import date
from enum import StrEnum
from typing import Annotated

import typer

from lakehouse.cli.console import out, print_json, print_table
from lakehouse.cli.dates import day_option

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Archived days that retention deleted.")


class Layer(StrEnum):
    """A table that retention deletes from."""

    bronze = "bronze"
    quarantine = "quarantine"


Stream = Annotated[str, typer.Argument(help="Name of the stream.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


@app.command("list")
def list_days(stream: Stream, as_json: AsJson = False) -> None:
    """List the arrival days in the stream's archive, and which of them are restored.

    Example: lakehouse retention list sales
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.lake.maintenance.restored import LAYERS, archived_days
    from lakehouse.lake.paths import LakePaths
    from lakehouse.settings import load_settings

    paths, name = LakePaths.of(load_settings()), load_stream(stream).name
    found = [day for layer in LAYERS for day in archived_days(paths, name, layer)]
    if as_json:
        print_json([dataclasses.asdict(day) for day in found])
    elif not found:
        out.print("nothing archived", markup=False)
    else:
        rows = [
            [f"{one.layer}.{name}", str(one.day), f"{one.rows:,}", "yes" if one.is_restored else ""] for one in found
        ]
        print_table("", ["table", "arrival day", "rows", "restored"], rows)


@app.command()
def restore(
    stream: Stream,
    day: Annotated[list[date], day_option("--day", "Arrival day (UTC); may be given more than once.")],
    layer: Annotated[Layer, typer.Option(help="Which table's rows.")] = Layer.bronze,
    as_json: AsJson = False,
) -> None:
    """Bring archived days back, into a table of their own: lakehouse sql --layer restored "from bronze_sales".

    The live table stays as retention left it, and so does what `verify` proves. A second time does nothing.

    Example: lakehouse retention restore sales --day 2026-01-31
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.lake.maintenance.restored import restore as bring_back
    from lakehouse.settings import load_settings

    settings, name = load_settings(), load_stream(stream).name
    done = [bring_back(settings, name, layer.value, one) for one in sorted(set(day))]
    if as_json:
        print_json([dataclasses.asdict(one) for one in done])
        return
    for one in done:
        what = f"{one.rows:,} rows of {one.day}"
        out.print(f"{what} restored to {one.table}" if one.written else f"{what} are there already", markup=False)
