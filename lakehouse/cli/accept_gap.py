"""`lakehouse accept-gap`: record that offsets are lost for good, so that the stream goes on behind them."""

from typing import TYPE_CHECKING

import typer

from lakehouse.cli.console import err, print_json
from lakehouse.contracts.load import load_stream
from lakehouse.errors import UsageError
from lakehouse.settings import load_settings

if TYPE_CHECKING:
    from lakehouse.lake.plan import Gap, Plan

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def accept_gap(
    stream: str = typer.Argument(help="Name of the stream."),
    why: str = typer.Option("", "--why", help="The reason, kept for ever beside the lost range."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what is lost."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Record offsets that no longer exist (RESUME_POINT_GONE, TOPIC_RECREATED), so that the stream goes on behind them.

    Nothing else skips data. Does nothing when every offset that bronze wants can still be read.

    Example: lakehouse accept-gap sales --why "broker disk was full over the weekend"
    """
    contract = load_stream(stream)
    settings = load_settings()
    if not dry_run and not why.strip():
        raise UsageError(
            "--why is missing.", why="A gap is recorded with who, when and why.", fix='Add it: --why "…", or --dry-run.'
        )
    from lakehouse.lake.repair import gaps

    plan = gaps.find_gap(contract, settings) if dry_run else gaps.accept_gap(contract, settings, why.strip())
    if as_json:
        print_json({"stream": stream, "recorded": bool(plan and not dry_run), "gap": _shown(plan)})
    elif plan is None or plan.gap is None:
        typer.echo(f"{stream}: nothing is lost; bronze can go on where it stopped.")
    else:
        typer.echo(f"{stream}: {describe(plan, plan.gap)}")
        if dry_run:
            err.print("Nothing was recorded.", style="dim")
        else:
            err.print(f"Next: lakehouse drain {stream} && lakehouse verify {stream}", markup=False, soft_wrap=True)


def describe(plan: "Plan", gap: "Gap") -> str:
    """The gap in one sentence."""
    ranges = ", ".join(f"partition {p}: {first} to {end - 1}" for p, (first, end) in gap.lost.items())
    lost = f"{gap.offsets:,} offsets are lost ({ranges})" if gap.lost else "no offset of the new topic is lost"
    if gap.code == "TOPIC_RECREATED":
        before = plan.generations[-2]
        return f"topic {before} is gone with whatever bronze had not read of it; batch {plan.batch}: {lost}"
    return f"batch {plan.batch}: {lost}"


def _shown(plan: "Plan | None") -> dict[str, object] | None:
    if plan is None or plan.gap is None:
        return None
    return {"batch": plan.batch, "topic_id": plan.topic_id, "offsets": plan.gap.offsets, **plan.gap.to_dict()}
