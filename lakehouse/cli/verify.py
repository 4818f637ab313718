"""`lakehouse verify`: the proof that nothing was lost or doubled from Kafka to gold."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.cli.services import require_services
from lakehouse.contracts.load import load_stream, load_streams
from lakehouse.errors import EXIT_UNHEALTHY
from lakehouse.settings import load_settings

if TYPE_CHECKING:
    from lakehouse.lake.verify import StreamProof, VerifyReport

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def verify(
    streams: Annotated[list[str] | None, typer.Argument(help="Streams to prove; all when none is named.")] = None,
    as_json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Prove that nothing was lost or doubled, from Kafka to gold. Writes nothing.

    Exit code 0: everything holds; 10: findings; 1: broker or Spark could not be asked.

    Example: lakehouse verify sales --json
    """
    contracts = [load_stream(name) for name in streams] if streams else list(load_streams().values())
    settings = load_settings()
    from lakehouse.lake.verify import verify as prove

    require_services(settings, kafka=True)
    report = prove(settings, contracts, on_progress=lambda name: err.print(f"verifying {name} …", style="dim"))
    if as_json:
        print_json(dataclasses.asdict(report) | {"ok": report.ok})
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(EXIT_UNHEALTHY)


def _show(report: "VerifyReport") -> None:
    for proof in report.proofs:
        out.print(describe(proof), markup=False)
    for finding in report.findings:
        out.print(f"✗ {finding.stream} {finding.check}: {finding.problem}", style="red", markup=False)
    for stream in sorted({found.stream for found in report.findings if found.check in ("silver", "quarantine")}):
        err.print(
            f"  If a rule of {stream} has changed: lakehouse quarantine replay {stream} --dry-run says what to do.",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    lake = f"lake {report.lake_id}" if report.lake_id else "no lake yet"
    gaps = sum(proof.gaps for proof in report.proofs)
    lost = f"0 lost besides {gaps:,} recorded" if gaps else "0 lost"
    if report.ok:
        out.print(f"✓ {lost} · 0 twice · exactly-once holds ({report.seconds:.1f} s, {lake})", style="green")
    else:
        out.print(f"✗ {len(report.findings)} findings ({report.seconds:.1f} s, {lake})", style="bold red")


def describe(proof: "StreamProof") -> str:
    """One stream's accounts in one line."""
    total = proof.bronze + proof.unmerged
    line = f"{proof.stream}: {total:,} in bronze = {proof.silver:,} in silver + {proof.quarantined:,} quarantined"
    if proof.repeats:
        line += f" + {proof.repeats:,} repeats of a key"
    if proof.unmerged:
        line += f" + {proof.unmerged:,} not merged yet"
    if proof.gaps:
        line += f" · {proof.gaps:,} offsets in recorded gaps"
    if proof.closed:
        line += f" + {proof.closed:,} of dates that retention has closed"
    if proof.expired:
        line += f" · {proof.expired:,} deleted by retention, {proof.unproved:,} in silver rest on them"
    if proof.waiting:
        line += f" · {proof.waiting:,} more wait on the broker"
    if proof.gold_version is None:
        return f"{line} · not in gold"
    is_current = proof.silver_version is None or proof.gold_version >= proof.silver_version
    return f"{line} · gold equals silver" + (
        "" if is_current else f" version {proof.gold_version} (a newer one exists)"
    )
