"""`lakehouse batch`: compute days of the batch view.

Here: options and printing. Not here: the work (`lake.batch.daily_views`).
"""

from datetime import date
from typing import Annotated

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.cli.dates import parse_day
from lakehouse.cli.services import require_services
from lakehouse.settings import load_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def batch(
    days: Annotated[
        list[date] | None,
        typer.Argument(
            parser=parse_day(""), help="Event dates (2026-01-31); without any: those that are missing or old."
        ),
    ] = None,
    as_json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Compute whole days of the daily aggregates from silver; each run replaces its own dates only.

    Example: lakehouse batch 2026-11-20
    """
    from lakehouse.lake.batch.daily_views import build_daily_agg, stale_days

    settings = load_settings()
    wanted = days or stale_days(settings)
    if wanted:
        require_services(settings)
        with err.status(f"Computing {len(wanted)} days …"):
            report = build_daily_agg(settings, wanted)
    if as_json:
        print_json({"days": wanted, "rows": report.rows if wanted else 0})
    elif not wanted:
        out.print("The batch view has every settled day as silver has it.")
    else:
        out.print(
            f"{len(report.days)} days, {report.rows:,} rows, {report.seconds:.1f} s; "
            f"last complete day: {report.boundary or 'none'}",
            markup=False,
        )
