"""`lakehouse kpis`: the site's key figures out of the serving view.

Here: printing. Not here: the figures (`lake.serving.view`), the page (`lake.serving.kpi_page`).
"""

import dataclasses

import typer

from lakehouse.cli.console import err, out, print_json, print_table
from lakehouse.settings import load_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_COLUMNS = ["date", "layer", "events", "active_users", "page_views", "clicks", "purchases", "revenue"]


@app.command()
def kpis(
    days: int = typer.Option(14, help="How many days back.", min=1),
    page: bool = typer.Option(False, "--page", help="Write the live page as well, and say where it is."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Show the site's key figures: batch up to the last complete day, the speed layer after it.

    Example: lakehouse kpis --days 7
    """
    from lakehouse.lake.serving.kpi_page import publish_kpis
    from lakehouse.lake.serving.view import read_kpis

    settings = load_settings()
    found = read_kpis(settings, days=days)
    if page:
        err.print(str(publish_kpis(settings).path), markup=False, soft_wrap=True)
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    print_table("", _COLUMNS, [[day[name] for name in _COLUMNS] for day in found.by_day])
    newest = f"{found.as_of:%Y-%m-%d %H:%M:%S} UTC" if found.as_of else "none yet"
    out.print(f"Newest event: {newest}. Last complete day of the batch view: {found.boundary or 'none'}.", markup=False)
