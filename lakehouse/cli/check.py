"""`lakehouse check`: the dry run of streams. Writes nothing to lake, broker or gold."""

import time
from collections.abc import Callable
from typing import Annotated

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.cli.services import require_services
from lakehouse.contracts.load import load_stream, load_streams
from lakehouse.errors import EXIT_UNHEALTHY, LakehouseError
from lakehouse.settings import load_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def check(
    streams: Annotated[list[str] | None, typer.Argument(help="Streams to check; all when none is named.")] = None,
    as_json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Dry run of streams: contract, rules (by Spark), schema, partitions, topics on the broker, dbt. Writes nothing.

    Exit code 0: all well; 10: problems, each named; 2: a broken YAML; 1: broker or Spark could not be asked.

    Example: lakehouse check sales
    """
    contracts = [load_stream(name) for name in streams] if streams else list(load_streams().values())
    settings = load_settings()
    from lakehouse.engine.spark import connect
    from lakehouse.lake import dry_run

    require_services(settings)
    results: list[dict[str, object]] = []

    def ask(stream: str, question: str, answer: Callable[[], list[str]]) -> None:
        began = time.monotonic()
        problems = answer()
        results.append({"stream": stream, "check": question, "problems": problems})
        mark = "✗" if problems else "✓"
        err.print(f"{mark} {stream} {question}  {time.monotonic() - began:.1f} s", markup=False)

    spark = connect(settings.spark_remote)
    try:
        for contract in contracts:
            ask(contract.name, "contract", list)
            ask(contract.name, "rules", lambda c=contract: dry_run.check_rules(spark, c))  # type: ignore[misc]
            ask(contract.name, "schema", lambda c=contract: dry_run.check_schema(c, settings))  # type: ignore[misc]
            ask(contract.name, "partitions", lambda c=contract: dry_run.check_partitions(spark, c, settings))  # type: ignore[misc]
            ask(contract.name, "topics", lambda c=contract: dry_run.check_topics(c, settings))  # type: ignore[misc]
    finally:
        spark.stop()
    ask("gold", "dbt parse", lambda: _as_problems(lambda: dry_run.check_dbt(settings)))
    _conclude(results, as_json)


def _as_problems(answer: Callable[[], list[str]]) -> list[str]:
    try:
        return answer()
    except LakehouseError as error:
        return [error.one_line()]


def _conclude(results: list[dict[str, object]], as_json: bool) -> None:
    bad = [result for result in results if result["problems"]]
    if as_json:
        print_json({"ok": not bad, "checks": results})
    for result in bad if not as_json else []:
        for problem in result["problems"]:  # type: ignore[attr-defined]
            out.print(f"{result['stream']} {result['check']}: {problem}", markup=False)
    if not bad and not as_json:
        out.print(f"{len(results)} checks passed; nothing was written.", markup=False)
    if bad:
        raise typer.Exit(EXIT_UNHEALTHY)
