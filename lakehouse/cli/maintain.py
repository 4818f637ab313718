"""`lakehouse maintain`: compaction and vacuum of the lake's tables, without Dagster."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.console import err, out, print_json, print_table
from lakehouse.cli.services import require_services
from lakehouse.contracts.load import load_stream, load_streams
from lakehouse.settings import load_settings

if TYPE_CHECKING:
    from lakehouse.lake.maintenance.upkeep import TableReport

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def maintain(
    stream: Annotated[
        str | None, typer.Argument(help="Only this stream; without it all, and the table of facts.")
    ] = None,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be done; write nothing."),
    as_json: bool = typer.Option(False, "--json", help="One JSON list on stdout, one object for each table."),
) -> None:
    """Put small files together, drop deleted rows, delete files replaced more than LAKEHOUSE_VACUUM_HOURS ago.

    Rows stay as they are, but for arrival days that the contract's `retention` keeps no longer.
    Drains, builds of gold and readers may run meanwhile.

    Example: lakehouse maintain sales --dry-run
    """
    contracts = [load_stream(stream)] if stream else list(load_streams().values())
    settings = load_settings()
    from lakehouse.lake.guards.identity import read_lake_id
    from lakehouse.lake.maintenance.upkeep import maintain_events, maintain_records, maintain_stream
    from lakehouse.lake.paths import LakePaths

    if read_lake_id(LakePaths.of(settings)) is not None:
        require_services(settings)
    done: list[TableReport] = []
    for contract in contracts:
        err.print(f"maintaining {contract.name} …", style="dim")
        done += maintain_stream(contract, settings, dry_run=dry_run)
    facts = None if stream else maintain_events(settings, dry_run=dry_run)
    done += [facts] if facts else []
    done += [] if stream else maintain_records(settings, dry_run=dry_run)
    if as_json:
        print_json([dataclasses.asdict(report) for report in done])
    elif not done:
        out.print("no tables yet", markup=False)
    else:
        _show(done, dry_run=dry_run)


def _show(done: "list[TableReport]", *, dry_run: bool) -> None:
    rows = [
        [
            f"{report.layer}.{report.stream}",
            f"{report.before.files:,}",
            f"{report.after.files:,}",
            f"{report.after.bytes / 1e6:,.1f} MB",
            len(report.compacted),
            len(report.purged),
            f"{report.vacuumed_files:,}",
            f"{report.seconds:.1f} s",
        ]
        for report in done
    ]
    columns = ["table", "files before", "after", "size", "days compacted", "purged", "files deleted", "took"]
    print_table("would be done" if dry_run else "", columns, rows)
    for report in done:
        name = f"{report.layer}.{report.stream}"
        if report.expired.days:
            first, last = report.expired.days[0], report.expired.days[-1]
            where = f", archived in {report.expired.archive}" if report.expired.archive else ""
            err.print(f"{name}: {report.expired.rows:,} rows of {first} to {last} expired{where}", markup=False)
        if report.postponed:
            days = ", ".join(report.postponed)
            err.print(f"{name}: left for the next time, other writers came first: {days}", markup=False)
        if report.held_back:
            err.print(f"{name}: nothing deleted: {report.held_back}", markup=False)
