"""`lakehouse logs`: what a run said. Here: arguments and printing. Not here: finding the lines (`ops.run_lines`)."""

import json
import sys
from typing import Annotated, Literal

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def logs(
    run: Annotated[str, typer.Argument(help="First characters of a run's id, or the name of a job.")],
    step: Annotated[str | None, typer.Option(help="Only this step: extract__places, or just places.")] = None,
    partition: Annotated[str | None, typer.Option(help="Of a job: its run for this partition.")] = None,
    attempt: Annotated[int | None, typer.Option(help="Of a job: its first, second, … run. [default: newest]")] = None,
    level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], typer.Option(help="The least level.")
    ] = "debug",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with every field.")] = False,
) -> None:
    """Print what a Dagster run logged, oldest first.

    Examples:
      lakehouse logs covid_etl --partition 2024-01-01 --step places --attempt 1

      lakehouse logs 3f2a9c --level warning
    """
    from lakehouse.ops.logs import log_path
    from lakehouse.ops.run_lines import lines_of

    found = lines_of(log_path(), run, step=step, partition=partition, attempt=attempt, level=level)
    for line in found:
        if as_json:
            text = json.dumps(line, ensure_ascii=False)
        else:
            at, where = str(line.get("timestamp", ""))[:23], line.get("step") or line.get("asset") or ""
            text = f"{at} {str(line.get('level', 'info')).upper():<8} {where + ': ' if where else ''}{line['message']}"
            text += f" {line['cause']}" if line.get("cause") else ""
            text += f"\n{line['exception']}" if line.get("exception") else ""
        sys.stdout.write(text + "\n")
