"""`lakehouse repair`: mend a stream's damaged tables from what is left."""

import dataclasses
from typing import TYPE_CHECKING

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.cli.services import require_services
from lakehouse.contracts.load import load_stream
from lakehouse.errors import EXIT_UNHEALTHY
from lakehouse.settings import load_settings

if TYPE_CHECKING:
    from lakehouse.lake.repair.mend import RepairReport

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def repair(
    stream: str = typer.Argument(help="Name of the stream."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what is wrong."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Find empty, torn or missing commits and data files of a stream's tables, and mend them.

    Silver and quarantine are made anew from bronze; bronze is read again from Kafka. Files in the way are moved to
    `<root>/aside`, nothing is deleted. Stop the stream's drains first. Exit code 10: something is wrong (--dry-run), or
    lost for good.

    Example: lakehouse repair sales --dry-run
    """
    contract = load_stream(stream)
    settings = load_settings()
    from lakehouse.lake.repair.mend import repair as mend

    if not dry_run:
        require_services(settings, kafka=True)
    report = mend(contract, settings, dry_run=dry_run, say=lambda text: err.print(f"{text} …", style="dim"))
    if as_json:
        print_json(dataclasses.asdict(report))
    else:
        _show(report, dry_run=dry_run)
    if report.lost or (dry_run and report.found):
        raise typer.Exit(EXIT_UNHEALTHY)


def _show(report: "RepairReport", *, dry_run: bool) -> None:
    if not report.found:
        typer.echo(f"{report.stream}: every commit and data file is there.")
        return
    for damage in report.found:
        out.print(f"✗ {damage}", markup=False, soft_wrap=True)
    if dry_run:
        err.print(f"Next: lakehouse repair {report.stream}", markup=False)
        return
    for action in report.done:
        out.print(f"✓ {action}", markup=False, soft_wrap=True)
    for lost in report.lost:
        out.print(f"✗ lost for good: {lost}", markup=False, soft_wrap=True)
    out.print(f"{report.read_again:,} rows were read again from Kafka")
    err.print(f"Next: lakehouse verify {report.stream} && lakehouse gold build --full-refresh", markup=False)
