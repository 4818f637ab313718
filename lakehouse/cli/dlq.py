"""`lakehouse dlq`: look at dead letters, send corrected records back to their topic, decide about them.

Here: arguments and printing. Not here: the work (`lakehouse.lake.rejects`).
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.console import err, out, print_json, print_table
from lakehouse.errors import EXIT_UNHEALTHY

if TYPE_CHECKING:
    from lakehouse.lake.rejects.resend import Letter

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Dead letters: look, send corrected ones again, discard.",
)

Stream = Annotated[str, typer.Argument(help="Name of the stream.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command("list")
def list_command(
    stream: Stream,
    error_type: Annotated[
        str | None, typer.Option(help="Only these: ValidationError (breaks the contract), DeserializationError.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Letters to show, newest first.", min=1)] = 20,
    all_: Annotated[bool, typer.Option("--all", help="Also those that were replayed, released or discarded.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the dead letters of a stream that are still open, without their payload.

    Example: lakehouse dlq list sales --error-type ValidationError
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.lake.rejects.resend import OPEN, letters_of
    from lakehouse.settings import load_settings

    contract = load_stream(stream)
    known, foreign = letters_of(contract, load_settings())
    kind = [entry for entry in known if error_type in (None, entry.error_type)]
    matching = [entry for entry in kind if all_ or entry.state == OPEN]
    newest = [_row(entry) for entry in matching[::-1][:limit]]
    if as_json:
        counts = {"total": len(matching), "settled": len(kind) - len(matching), "foreign": foreign}
        print_json({"stream": stream, "topic": contract.topic.dlq, **counts, "newest": newest})
        return
    columns = ["record", "arrived", "error_type", "reasons", "retries", "state"]
    rows = [
        [row["record"], row["at"][:19], row["error_type"], ", ".join(row["reasons"]), row["retry_count"], row["state"]]
        for row in newest
    ]
    print_table(contract.topic.dlq, columns, rows)
    notes = [f"{len(matching):,} letters, the newest {len(newest)} shown"]
    notes += [f"{len(kind) - len(matching):,} settled ones are hidden, --all shows them"] * (len(kind) > len(matching))
    notes += [f"{foreign:,} messages of the topic are no dead letters"] * (foreign > 0)
    err.print("; ".join(notes), style="dim")


@app.command()
def show(
    stream: Stream,
    letter: Annotated[str, typer.Argument(help="Id of the letter, or PARTITION:OFFSET of its record.")],
    as_json: AsJson = False,
) -> None:
    """Show one dead letter with the record that was rejected, which may hold personal data.

    Example: lakehouse dlq show sales 0:17
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.lake.rejects.ids import RecordName
    from lakehouse.lake.rejects.resend import choose, letters_of
    from lakehouse.settings import load_settings

    contract = load_stream(stream)
    known, _ = letters_of(contract, load_settings())
    (entry,) = choose(contract, known, [RecordName.parse(letter)])
    if as_json:
        print_json(_row(entry) | {"letter": entry.letter.record})
        return
    for name, value in (entry.letter.record | _row(entry)).items():
        out.print(f"{name:<16} {', '.join(value) if isinstance(value, list) else value}", markup=False)


@app.command()
def replay(
    stream: Stream,
    letters: Annotated[list[str] | None, typer.Argument(help="Only these; all open ones when none is named.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="field=value, as the contract types it; may be given again.")
    ] = None,
    max_retries: Annotated[int, typer.Option(help="Refuse a record that was sent again so often already.", min=1)] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send rejected records back to the stream's topic, with fields set right. The next drain takes them.

    Exit code 10: some letters were refused; they stay as they are.

    Example: lakehouse dlq replay sales 0:17 --set category=Books
    """
    from lakehouse.contracts.corrections import parse_corrections
    from lakehouse.contracts.load import load_stream
    from lakehouse.lake.rejects.ids import RecordName
    from lakehouse.lake.rejects.resend import resend
    from lakehouse.settings import load_settings

    contract = load_stream(stream)
    report = resend(
        contract,
        load_settings(),
        [RecordName.parse(text) for text in letters or []],
        parse_corrections(contract, set_ or []),
        max_retries=max_retries,
        dry_run=dry_run,
    )
    if as_json:
        print_json(asdict(report) | {"dry_run": dry_run})
    else:
        what = "would be sent" if dry_run else "sent"
        typer.echo(f"{stream}: {len(report.sent):,} {what} to {contract.topic.name}, {len(report.refused):,} refused")
    for record_id, why in report.refused.items():
        err.print(f"{record_id} {why}", style="yellow", markup=False, soft_wrap=True)
    if letters and report.settled:
        err.print(f"already settled: {', '.join(report.settled)}", style="dim", markup=False, soft_wrap=True)
    if report.refused:
        raise typer.Exit(EXIT_UNHEALTHY)


@app.command()
def discard(
    stream: Stream,
    letters: Annotated[list[str], typer.Argument(help="Ids of letters, or PARTITION:OFFSET of their records.")],
    why: Annotated[str, typer.Option(help="The reason, kept with your name and the time.")],
    as_json: AsJson = False,
) -> None:
    """Decide that the records of dead letters stay out of silver for good. The same as `quarantine discard`.

    Example: lakehouse dlq discard sales 0:17 --why "test of the new till"
    """
    from lakehouse.cli import quarantine

    quarantine.discard(stream, letters, why, as_json)


def _row(entry: "Letter") -> dict[str, Any]:
    """What is known of a letter besides its payload."""
    return {
        "id": entry.letter.id,
        "record": ":".join(entry.letter.id.rsplit("/", 2)[1:]),
        "at": entry.letter.at.isoformat(timespec="seconds"),
        "error_type": entry.error_type,
        "reasons": entry.reasons,
        "retry_count": entry.letter.retry_count,
        "state": entry.state,
    }
