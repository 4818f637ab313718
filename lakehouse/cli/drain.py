"""`lakehouse drain`: one drain of one stream, without Dagster."""

import dataclasses

import typer

from lakehouse.cli.console import err, print_json
from lakehouse.cli.services import require_services
from lakehouse.contracts.load import load_stream
from lakehouse.lake.reports import BatchReport
from lakehouse.settings import load_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def drain(
    stream: str = typer.Argument(help="Name of the stream, for example sales."),
    budget: float = typer.Option(None, "--budget", help="End after so many seconds.", min=0.1),
    idle: float = typer.Option(1.0, "--idle", help="End when nothing new came for so many seconds.", min=0),
    another_lake: bool = typer.Option(
        False, "--another-lake", help="Work on the lake at LAKEHOUSE_ROOT from now on, although it was another so far."
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Take a stream's backlog into bronze and silver, then stop.

    Example: lakehouse drain sales --idle 2
    """
    contract = load_stream(stream)
    settings = load_settings()
    from lakehouse.lake.drain import drain as run_drain
    from lakehouse.lake.guards.identity import require_lake

    require_services(settings, kafka=True)
    lake = require_lake(settings, another_lake=another_lake)
    err.print(f"lake {lake} at {settings.lake_root}, topic {contract.topic.name}", style="dim", soft_wrap=True)
    summary = run_drain(
        contract,
        settings,
        budget_seconds=budget if budget is not None else settings.drain_budget_seconds,
        idle_seconds=idle,
        report=lambda batch: err.print(_line(batch), markup=False),
    )
    for warning in summary.warnings:
        err.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    if as_json:
        print_json(dataclasses.asdict(summary))
    else:
        typer.echo(
            f"{stream}: {summary.bronze_rows:,} rows to bronze in {summary.batches} batches, "
            f"{summary.silver_rows:,} changed silver, {summary.rejected:,} to quarantine, "
            f"{summary.seconds:.1f} s ({summary.reason})"
        )


def _line(batch: BatchReport) -> str:
    if batch.layer == "bronze":
        return f"bronze  batch {batch.batch}: {batch.rows:,} rows, {batch.lag_rows:,} waiting, {batch.seconds:.2f} s"
    return (
        f"silver  through {batch.batch}: {batch.read:,} read, {batch.rows:,} changed, "
        f"{batch.rejected:,} rejected, {batch.duplicates:,} repeats, {batch.seconds:.2f} s"
    )
