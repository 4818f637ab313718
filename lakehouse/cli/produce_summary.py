"""How every `lakehouse produce …` that sends simulated events ends: one line or one JSON object, and the exit code."""

from typing import TYPE_CHECKING, Any

import typer

from lakehouse.cli.console import err, out, print_json

if TYPE_CHECKING:
    from lakehouse.sources.producer import Summary


def conclude(summary: "Summary", topic: str, more: dict[str, Any], *, details: str, as_json: bool) -> None:
    """Say what was sent and leave with the summary's exit code.

    Args:
        summary: What the producer counted.
        topic: Where it went.
        more: Further counts for `--json`.
        details: The same for people, between what was sent and how long it took.
        as_json: Whether `--json` was given.

    Raises:
        typer.Exit: always.
    """
    if as_json:
        print_json(
            {
                "topic": topic,
                "sent": summary.sent,
                "failed": summary.failed,
                **more,
                "seconds": round(summary.seconds, 3),
                "events_per_second": round(summary.events_per_second, 1),
                "interrupted": summary.interrupted,
            }
        )
    else:
        out.print(
            f"sent {summary.sent:,} · failed {summary.failed:,} · {details} · {summary.seconds:.1f} s · "
            f"{summary.events_per_second:,.0f} events/s",
            markup=False,
        )
    if summary.first_error:
        err.print(f"first failure: {summary.first_error}", markup=False)
        err.print(
            f"  fix: Ask the broker (lakehouse health) and the topic (lakehouse topics describe {topic}); send again.",
            markup=False,
            soft_wrap=True,
        )
    raise typer.Exit(summary.exit_code)
