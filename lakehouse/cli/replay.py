"""`lakehouse replay`: rebuild a stream's silver from bronze beside the live table, then swap it in."""

import dataclasses
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from lakehouse.cli.console import err, print_json
from lakehouse.cli.dates import moment_option
from lakehouse.cli.services import require_services
from lakehouse.contracts.load import load_stream
from lakehouse.errors import UsageError
from lakehouse.settings import load_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def replay(
    stream: str = typer.Argument(help="Name of the stream."),
    since: Annotated[
        datetime | None, moment_option("--from", "First event date or time to rebuild (UTC); everything when absent.")
    ] = None,
    abort: bool = typer.Option(False, "--abort", help="Give an unfinished replay up; live tables are untouched."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Rebuild silver and quarantine from bronze under today's contract, beside the live tables, and swap them in.

    The stream goes on meanwhile. Interrupted, the same command goes on where it stopped. The old version of silver
    stays readable by time travel.

    Example: lakehouse replay sales --from 2026-11-01 --yes
    """
    contract = load_stream(stream)
    settings = load_settings()
    from lakehouse.lake.rebuild import kappa

    if abort:
        was_there = kappa.abort(contract, settings)
        typer.echo(f"{stream}: {'the unfinished replay is gone' if was_there else 'there is no unfinished replay'}.")
        return
    if since is not None and since > datetime.now(UTC):
        raise UsageError(f"--from {since:%Y-%m-%d %H:%M} UTC is in the future.", fix="Give a time that has passed.")
    require_services(settings)
    dates = "all event dates" if since is None else f"event dates from {since.date()} on"
    err.print(f"{stream}: {dates} of silver, and the rejects of the same batches, will be replaced.", soft_wrap=True)
    _require_yes(yes)
    report = kappa.replay(contract, settings, since, say=lambda text: err.print(f"{text} …", style="dim"))
    if as_json:
        print_json(dataclasses.asdict(report))
        return
    typer.echo(
        f"{stream}: {report.rows:,} rows through batch {report.through}, {len(report.changed)} event dates changed, "
        f"silver version {report.version} (before: {report.version_before}), {report.seconds:.1f} s"
    )
    err.print(f"Next: lakehouse verify {stream} && lakehouse gold build", markup=False)


def _require_yes(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("Without a terminal nobody can be asked.", fix="Add --yes.")
    typer.confirm("Go on?", abort=True, err=True)
