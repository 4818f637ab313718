"""`lakehouse dq`: validate tables against their contract, profile them, write the report, export rules.

Here: arguments and printing. Not here: what is checked (`lake.quality`).
"""

import dataclasses
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.console import err, out, print_json, print_table
from lakehouse.cli.dates import day_option
from lakehouse.cli.services import require_services
from lakehouse.errors import EXIT_UNHEALTHY, UsageError, nearest

if TYPE_CHECKING:
    from lakehouse.contracts.model import StreamContract
    from lakehouse.lake.quality.measure import Layer
    from lakehouse.quality.results import CheckResult
    from lakehouse.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Data quality: validate, profile, report, export.")

Table = Annotated[str, typer.Argument(help="silver.sales, bronze.sales, or sales for both; gold, or gold.sales_daily.")]
Days = Annotated[list[date] | None, day_option("--day", "Only this UTC day; may be given more than once.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def validate(table: Table, day: Days = None, as_json: AsJson = False) -> None:
    """Hold a table against its contract: schema, every rule on every row, keys, rejects, completeness, timeliness.

    Of gold: rows, empty cells, what silver has that gold does not show yet, and totals against silver. The results are
    kept: lakehouse sql --layer quality "from results". Exit code 10 when anything is broken.

    Examples:
      lakehouse dq validate silver.sales

      lakehouse dq validate sales --day 2026-11-21 --json

      lakehouse dq validate gold
    """
    from lakehouse.lake.paths import LakePaths
    from lakehouse.lake.quality.store import write_results
    from lakehouse.settings import load_settings

    settings, now, run = load_settings(), datetime.now(UTC), str(uuid.uuid4())
    layer, _, name = table.partition(".")
    found = _look_at_gold(settings, name, day, now) if layer == "gold" else _look(settings, table, day)
    results = [result.in_run(run, now) for result in found]
    write_results(LakePaths.of(settings), results)
    findings = [result for result in results if result.is_finding]
    if as_json:
        print_json(
            {
                "table": table,
                "ok": not findings,
                "run": run,
                "findings": len(findings),
                "results": [dataclasses.asdict(result) for result in results],
            }
        )
    else:
        _show(results)
    if findings:
        raise typer.Exit(EXIT_UNHEALTHY)


@app.command()
def profile(table: Table, day: Days = None, as_json: AsJson = False) -> None:
    """Show what silver's columns hold: nulls, distinct values, range, quantiles, a plot. Never personal fields.

    Example: lakehouse dq profile silver.sales --day 2026-11-21
    """
    contract, _ = resolve(table)
    from lakehouse.lake.quality.profiles import profile as look
    from lakehouse.settings import load_settings

    columns = look(contract, load_settings(), day or None)
    if as_json:
        print_json([column.as_dict() for column in columns])
        return
    rows = [
        [
            column.name, column.type, f"{column.rows:,}", f"{column.nulls:,}", f"{column.distinct:,}",
            f"{column.least} … {column.greatest}",
            f"{column.quantiles[0.5]:,.6g}" if column.quantiles and column.histogram else "", column.plot,
        ]
        for column in columns
    ]  # fmt: skip
    print_table("", ["column", "type", "rows", "nulls", "distinct", "range", "median", "values"], rows)


@app.command()
def report(
    everything: Annotated[bool, typer.Option("--all", help="All days, not only today and yesterday.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check every table and write the dated report, as the hourly run does: HTML and Parquet below the lake's root.

    Exit code 10 when anything is broken.

    Example: lakehouse dq report
    """
    from lakehouse.contracts.load import load_streams
    from lakehouse.lake.quality.hourly import check_lake, recent_days, report_of, write_report
    from lakehouse.settings import load_settings

    settings, now, run = load_settings(), datetime.now(UTC), str(uuid.uuid4())
    require_services(settings)
    days = None if everything else recent_days(now)
    contracts = load_streams()
    results = check_lake(
        contracts.values(), settings, days=days, now=now, run=run,
        say=lambda name: err.print(f"checking {name} …", style="dim"),
    )  # fmt: skip
    made = report_of(results, contracts, settings, days=days, now=now, run=run)
    written = write_report(made, settings)
    if as_json:
        print_json(
            {
                "ok": not made.findings, "run": run, "checks": len(results), "findings": len(made.findings),
                "warnings": len(made.warnings), "page": str(written.page), "rows": str(written.rows),
            }
        )  # fmt: skip
    else:
        out.print(
            f"{len(results)} checks · {len(made.findings)} findings · {len(made.warnings)} warnings · {written.page}",
            markup=False,
        )
    if made.findings:
        raise typer.Exit(EXIT_UNHEALTHY)


@app.command("export-suite")
def export_suite(
    stream: Annotated[str, typer.Argument(help="Name of the stream.")],
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Write to this file, not to stdout.")] = None,
) -> None:
    """Write the contract as a Great Expectations suite (JSON), for teams that run that tool elsewhere.

    Example: lakehouse dq export-suite sales --file sales_suite.json
    """
    import json

    from lakehouse.contracts.load import load_stream
    from lakehouse.quality.suite import expectation_suite

    suite = expectation_suite(load_stream(stream))
    if file is None:
        print_json(suite)
    else:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(suite, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}.", fix="Name another --file.") from error
        err.print(f"{len(suite['expectations'])} expectations written to {file}", markup=False)


def _look(settings: "Settings", table: str, days: list[date] | None) -> "list[CheckResult]":
    contract, layers = resolve(table)
    from lakehouse.lake.quality.validate import validate as look

    require_services(settings)
    results: list[CheckResult] = []
    for layer in layers:
        err.print(f"validating {layer}.{contract.name} …", style="dim")
        results += look(contract, settings, layer, days or None)
    return results


def _look_at_gold(settings: "Settings", table: str, days: list[date] | None, now: datetime) -> "list[CheckResult]":
    from lakehouse.contracts.load import load_streams
    from lakehouse.lake.gold.build_record import published_columns
    from lakehouse.lake.gold.builds import require_gold
    from lakehouse.lake.quality.gold import check_gold

    known = published_columns(require_gold(settings))
    if table and table not in known:
        raise UsageError(
            f"Gold has no table {table}.", fix=nearest(table, known, f"Known: {', '.join(sorted(known))}.")
        )
    require_services(settings)
    err.print(f"validating gold{'.' + table if table else ''} …", style="dim")
    return check_gold(load_streams().values(), settings, days=days or None, now=now, only=table or None)


def resolve(table: str) -> "tuple[StreamContract, list[Layer]]":
    """The stream and the layers that a table's name means.

    Raises:
        UsageError: for a layer that is not checked here, or an unknown stream.
    """
    from lakehouse.contracts.load import load_stream

    layer, dot, name = table.rpartition(".")
    if dot and layer not in ("bronze", "silver"):
        raise UsageError(
            f"{table} is no table that is checked here.",
            fix="Use silver.<stream> or bronze.<stream>; dq validate also takes gold.<table>.",
        )
    contract = load_stream(name)
    if layer == "bronze":
        return contract, ["bronze"]
    return contract, ["silver"] if layer == "silver" else ["bronze", "silver"]


def _show(results: "list[CheckResult]") -> None:
    for result in results:
        mark, style = ("✓", "green") if result.passed else ("✗", "bold red") if result.is_finding else ("!", "yellow")
        if not result.passed or result.dimension in ("schema", "completeness", "accuracy", "timeliness"):
            out.print(f"{mark} {result.table} {result.check}: {result.message}", style=style, markup=False)
    passed, findings = sum(result.passed for result in results), sum(result.is_finding for result in results)
    out.print(f"{len(results)} checks: {passed} passed, {findings} findings", markup=False)
