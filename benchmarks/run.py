"""`python -m benchmarks.run` (`make bench`): measure on this machine, print a table, write the results.

Here: which parts run and where results go. Not here: measuring, formatting.
"""

import json
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import (
    backlog,
    durability,
    footprint,
    gold,
    growth,
    history,
    latency,
    loading,
    peers,
    scaling,
    sensor,
    throughput,
)
from benchmarks.conditions import conditions
from benchmarks.figures import COLUMNS, Figure, between_markers, markdown
from benchmarks.workbench import FULL, QUICK, Workbench, workbench
from lakehouse.cli.console import err, explain, print_json, print_table
from lakehouse.errors import LakehouseError, UsageError
from lakehouse.settings import PROJECT_ROOT

RESULTS = PROJECT_ROOT / "benchmarks" / "results"
PAGE = PROJECT_ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results -->", "<!-- /results -->"
MEASURES: dict[str, Callable[[Workbench], list[Figure]]] = {
    "throughput": throughput.measure,
    "peers": peers.measure,
    "latency": latency.measure,
    "history": history.measure,
    "growth": growth.measure,
    "scaling": scaling.measure,
    "durability": durability.measure,
    "loading": loading.measure,
    "gold": gold.measure,
    "backlog": backlog.measure,
    "memory": footprint.memory,
    "start": footprint.start,
    # Last: its sensors would take part in everything else.
    "sensor": sensor.measure,
}
# The backlog needs some 10 GB of disk.
_WHEN_ASKED_FOR = {"backlog"}

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    only: Annotated[list[str] | None, typer.Option(help=f"Measure only this part: {', '.join(MEASURES)}.")] = None,
    events: Annotated[int, typer.Option(help="Events of the part backlog.", min=1_000)] = FULL.large_backlog,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, a few minutes; writes no results.")] = False,
    name: Annotated[str, typer.Option(help="Short name in the file's name. [default: cores]")] = "",
    docs: Annotated[bool, typer.Option("--docs", help="Put the table into docs/benchmarks.md too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The results as JSON on stdout, no table.")] = False,
) -> None:
    """Measure throughput, latency, growth and memory on a stack of its own.

    Example: python -m benchmarks.run --only latency
    """
    parts = only or [part for part in MEASURES if part not in _WHEN_ASKED_FOR]
    unknown = sorted(set(parts) - set(MEASURES))
    if unknown:
        raise UsageError(f"--only {unknown[0]} is not possible.", fix=f"Choose of: {', '.join(MEASURES)}.")
    began = time.monotonic()
    facts = conditions()
    if facts["load_before"] > facts["cores"] / 2:
        err.print(f"note: the machine is busy (load {facts['load_before']:.1f}); figures will be lower", markup=False)

    def say(step: str) -> None:
        err.print(f"{time.monotonic() - began:6.1f} s  {step}", markup=False, soft_wrap=True)

    with workbench(replace(QUICK if quick else FULL, large_backlog=events), say) as stand:
        figures, failed = _measure(stand, parts)
        facts |= {"events": stand.sizes.events, "event_bytes": stand.event_bytes, "parts": parts, "failed": failed}
    facts |= {"seconds": round(time.monotonic() - began), "quick": quick}
    document = {"conditions": facts, "figures": [figure.as_dict() for figure in figures]}
    if not quick:
        _write(document, markdown(figures, facts), name or f"{facts['cores']}-cores", docs=docs)
    if as_json:
        print_json(document)
    else:
        # The notes would squeeze the other columns; they are in the files and in --json.
        rows = [figure.cells()[:-1] for figure in figures]
        print_table(f"{facts['cores']} cores, {facts['seconds']} s", COLUMNS[:-1], rows)
    if failed:
        raise LakehouseError(f"Not measured: {', '.join(failed)}.", fix="Their errors are above; the rest is written.")


def _measure(stand: Workbench, parts: Collection[str]) -> tuple[list[Figure], list[str]]:
    """The figures of the parts, and the parts that failed: an hour's other figures are not lost with one of them."""
    figures: list[Figure] = []
    failed = []
    for part, measure in MEASURES.items():
        if part not in parts:
            continue
        try:
            figures += measure(stand)
        except Exception:  # noqa: BLE001 - told, and the exit code says so
            err.print_exception()
            failed.append(part)
    return figures, failed


def _write(document: dict[str, Any], table: str, name: str, *, docs: bool) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    stem = f"{datetime.now(UTC):%Y-%m-%d}-{name}"
    (RESULTS / f"{stem}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    (RESULTS / f"{stem}.md").write_text(table, encoding="utf-8")
    err.print(f"written: {_shown(RESULTS / stem)}.json and .md", markup=False)
    if docs:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(between_markers(text, BEGIN, END, table), encoding="utf-8")
        err.print(f"updated: {_shown(PAGE)}", markup=False)


def _shown(path: Path) -> str:
    return str(path.relative_to(PROJECT_ROOT))


def main() -> None:
    """Run; a refusal is one sentence and its exit code."""
    try:
        app()
    except LakehouseError as error:
        explain(error)
        raise SystemExit(error.exit_code) from error


if __name__ == "__main__":
    main()
