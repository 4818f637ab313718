"""`lakehouse lag`: how far each stream is behind its topic, by what bronze has committed."""

import dataclasses

import typer

from lakehouse.cli.console import err, print_json, print_table
from lakehouse.errors import EXIT_COULD_NOT_ASK

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def lag(
    stream: str = typer.Argument(None, help="Only this stream; without it all.", show_default=False),
    as_json: bool = typer.Option(False, "--json", help="One JSON array on stdout."),
) -> None:
    """Show records that wait on the broker, batches that silver lacks, and when bronze was last written.

    The Delta log is asked, not a consumer group; the group lakehouse-<stream> shows the same to other tools. Exit code
    1 when a topic could not be asked.

    Examples:
      lakehouse lag

      lakehouse lag sales --json
    """
    from lakehouse.contracts.load import load_stream, load_streams
    from lakehouse.kafka.client import require_reachable
    from lakehouse.lake.monitoring.metrics import lag as look
    from lakehouse.settings import load_settings

    contracts = [load_stream(stream)] if stream else list(load_streams().values())
    settings = load_settings()
    require_reachable(settings)
    found = [look(contract, settings) for contract in contracts]
    if as_json:
        print_json([dataclasses.asdict(entry) for entry in found])
    else:
        rows = [
            [
                entry.stream, entry.topic, "?" if entry.rows is None else f"{entry.rows:,}", entry.silver_batches,
                f"{entry.last_commit:%Y-%m-%d %H:%M:%S}" if entry.last_commit else "never",
            ]
            for entry in found
        ]  # fmt: skip
        print_table("", ["stream", "topic", "waiting", "silver behind", "last commit (UTC)"], rows)
        for entry in found:
            if entry.problem:
                err.print(f"{entry.stream}: {entry.problem}", markup=False, soft_wrap=True)
    if any(entry.rows is None for entry in found):
        raise typer.Exit(EXIT_COULD_NOT_ASK)
