"""`lakehouse quarantine`: look at rejected records, judge them again, decide about them.

Here: arguments and printing. Not here: the work (`lakehouse.lake.rejects`).
"""

from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.console import err, out, print_json, print_table
from lakehouse.cli.dates import day_option
from lakehouse.cli.services import require_services
from lakehouse.errors import UsageError, nearest

if TYPE_CHECKING:
    from lakehouse.contracts.model import StreamContract
    from lakehouse.lake.rejects.browse import RejectedRecord
    from lakehouse.lake.rejects.outcome import ReplayReport

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Rejected records: look, replay, discard."
)

Stream = Annotated[str, typer.Argument(help="Name of the stream.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Reason = Annotated[str | None, typer.Option(help="Only records with this reason among theirs.")]


@app.command("list")
def list_command(
    stream: Stream,
    reason: Reason = None,
    day: Annotated[date | None, day_option("--day", "Only records that arrived on this day, YYYY-MM-DD (UTC).")] = None,
    limit: Annotated[int, typer.Option(help="Records to show, newest first.", min=1)] = 20,
    all_: Annotated[bool, typer.Option("--all", help="Also those that were discarded.")] = False,
    as_json: AsJson = False,
) -> None:
    """Count the rejected records by reason and show the newest, without their payload.

    Example: lakehouse quarantine list sales --reason quantity_positive --limit 5
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.lake.paths import LakePaths
    from lakehouse.lake.rejects.browse import list_records
    from lakehouse.settings import load_settings

    contract = load_stream(stream)
    listing = list_records(
        contract, LakePaths.of(load_settings()), reason=reason, day=day, limit=limit, with_discarded=all_
    )
    if not listing.total:
        _require_known(contract, reason)
    if as_json:
        counts = {"total": listing.total, "hidden": listing.hidden, "by_reason": listing.by_reason}
        print_json({"stream": stream, **counts, "newest": [_row(record) for record in listing.newest]})
        return
    print_table("", ["reason", "records"], [[name, f"{rows:,}"] for name, rows in listing.by_reason.items()])
    names = [
        [f"{r.partition}:{r.offset}", f"{r.arrived:%Y-%m-%d %H:%M:%S}", ", ".join(r.reasons), r.state]
        for r in listing.newest
    ]
    print_table(f"\n{contract.topic.name}", ["record", "arrived", "reasons", "state"], names)
    err.print(f"{listing.total:,} records, the newest {len(names)} shown" + _hidden(listing.hidden), style="dim")


@app.command()
def show(
    stream: Stream,
    record: Annotated[str, typer.Argument(help="PARTITION:OFFSET, or TOPICID/PARTITION/OFFSET.")],
    as_json: AsJson = False,
) -> None:
    """Show one rejected record with its payload, which may hold personal data, and why it was rejected.

    Example: lakehouse quarantine show sales 0:17
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.lake.paths import LakePaths
    from lakehouse.lake.rejects.browse import find_records
    from lakehouse.lake.rejects.ids import RecordName
    from lakehouse.settings import load_settings

    (found,) = find_records(load_stream(stream), LakePaths.of(load_settings()), [RecordName.parse(record)])
    fields = _row(found) | {"message": found.error_message, "key": _text(found.key), "value": _text(found.value)}
    if as_json:
        print_json(fields)
        return
    for name, value in fields.items():
        text = ", ".join(value) if isinstance(value, list) else value
        out.print(f"{name:<10} {text}", markup=False)


@app.command()
def replay(
    stream: Stream,
    records: Annotated[list[str] | None, typer.Argument(help="Only these; PARTITION:OFFSET.")] = None,
    reason: Reason = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge rejected records again by the contract as it is now. What passes goes to silver, once.

    What still fails stays, with its reasons of today. Discarded records stay. Doing it again changes nothing.

    Example: lakehouse quarantine replay sales --reason known_category --dry-run
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.lake.paths import LakePaths, table_exists
    from lakehouse.lake.rejects.ids import RecordName
    from lakehouse.lake.rejects.outcome import Choice
    from lakehouse.lake.rejects.replay import replay as judge_again
    from lakehouse.settings import load_settings

    contract = load_stream(stream)
    names = tuple(RecordName.parse(text) for text in records or [])
    settings = load_settings()
    if table_exists(LakePaths.of(settings).quarantine(contract.name)):
        require_services(settings)
    report = judge_again(contract, settings, Choice(reason, names), dry_run=dry_run)
    if not report.judged:
        _require_known(contract, reason)
    if report.judged < len(names):
        err.print(
            f"{len(names) - report.judged:,} of {len(names):,} named records are not in quarantine", style="yellow"
        )
    if as_json:
        print_json(asdict(report) | {"dry_run": dry_run})
    else:
        typer.echo(_summary(report, dry_run=dry_run))
    if report.misplaced is not None:
        rows, first, _ = report.misplaced
        err.print(
            f"{rows:,} rows of silver break rules of today, and stay there until silver is rebuilt: "
            f"lakehouse replay {stream} --from {first}",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )


@app.command()
def discard(
    stream: Stream,
    records: Annotated[list[str], typer.Argument(help="PARTITION:OFFSET, or TOPICID/PARTITION/OFFSET.")],
    why: Annotated[str, typer.Option(help="The reason, kept with your name and the time.")],
    as_json: AsJson = False,
) -> None:
    """Decide that rejected records stay out of silver for good. Their rows stay in quarantine.

    Example: lakehouse quarantine discard sales 0:17 2:4 --why "test of the new till"
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.lake.rejects.discard import discard as keep_out
    from lakehouse.lake.rejects.ids import RecordName
    from lakehouse.settings import load_settings

    contract = load_stream(stream)
    done = keep_out(contract, load_settings(), [RecordName.parse(text) for text in records], why)
    if as_json:
        print_json({"stream": stream, "discarded": done.now, "before": done.before})
        return
    before = f", {len(done.before):,} were already" if done.before else ""
    typer.echo(f"{stream}: {len(done.now):,} discarded{before}")


def _row(record: "RejectedRecord") -> dict[str, Any]:
    """What is known of a record besides its payload."""
    row = {
        "id": record.id,
        "record": f"{record.partition}:{record.offset}",
        "arrived": record.arrived.isoformat(),
        "reasons": record.reasons,
        "error_type": record.error_type,
        "batch": record.batch,
        "state": record.state,
    }
    if record.decision is not None:
        decision = record.decision
        row |= {"who": decision.who, "why": decision.why, "decided": decision.at.isoformat()}
    return row


def _text(payload: bytes | None) -> str | None:
    return None if payload is None else payload.decode("utf-8", errors="backslashreplace")


def _hidden(rows: int) -> str:
    return f"; {rows:,} discarded ones are hidden, --all shows them" if rows else ""


def _summary(report: "ReplayReport", *, dry_run: bool) -> str:
    what = "would go" if dry_run else "went"
    text = f"{report.stream}: {report.judged:,} judged again, {report.released:,} {what} to silver"
    if not dry_run and report.released:
        text += f" ({report.silver_rows:,} rows changed there)"
    text += f", {report.rewritten + report.kept:,} stay"
    return text + (f" ({report.rewritten:,} with other reasons)" if report.rewritten else "")


def _require_known(contract: "StreamContract", reason: str | None) -> None:
    """Of a reason that no record has: whether it is one at all.

    Raises:
        UsageError: the contract has no such condition.
    """
    from lakehouse.quality.rules import DISCARDED, UNREADABLE, rejecting_conditions

    known = [*(condition.name for condition in rejecting_conditions(contract)), *UNREADABLE, DISCARDED]
    if reason is not None and reason not in known:
        hint = nearest(reason, known, f"Reasons of this stream: {', '.join(known)}.")
        raise UsageError(f"No record was rejected for {reason!r}, and no rule has that name.", fix=hint)
