"""`lakehouse pipelines`: list batch pipelines, check their YAML, run one window.

Here: the commands. Not here: what a pipeline may say (`lakehouse.contracts.pipeline`), what a step does
(`lakehouse.lake.batch`), many windows (`lakehouse backfill`).
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from lakehouse.cli.console import err, out, print_json, print_table
from lakehouse.cli.services import require_services
from lakehouse.errors import EXIT_USAGE, UsageError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="List batch pipelines, check them, run one window.")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """List the batch pipelines.

    Example: lakehouse pipelines list --json
    """
    from lakehouse.contracts.pipelines import load_pipelines

    rows = [
        {
            "pipeline": contract.name,
            "schedule": contract.schedule or (f"after {contract.wait_for.pipeline}" if contract.wait_for else "none"),
            "windows": contract.cadence,
            "start": contract.start,
            "catchup": contract.catchup,
            "at_once": contract.max_active_runs,
            "retries": f"{contract.retries.attempts} after {contract.retries.delay}",
            "on": contract.switched_on,
            "tags": contract.tags,
            "owners": contract.owners,
            "steps": [step.name for _, step in contract.steps()],
            "description": contract.description,
        }
        for contract in load_pipelines().values()
    ]
    if as_json:
        print_json(rows)
        return
    columns = ["pipeline", "schedule", "windows", "start", "catchup", "at_once", "retries", "on"]
    print_table("", columns, [[_cell(row[column]) for column in columns] for row in rows])


@app.command()
def validate(
    paths: Annotated[list[Path] | None, typer.Argument(help="YAML files; without, all pipelines.")] = None,
) -> None:
    """Check pipelines: every mistake with file, line, field and what is allowed. Exit code 2 when there is one.

    Example: lakehouse pipelines validate lakehouse/defs/batch/daily_etl/defs.yaml
    """
    from lakehouse.contracts.load import collect_problems
    from lakehouse.contracts.pipelines import BATCH_FOLDER, load_pipeline_file, load_pipelines

    files = paths or sorted(BATCH_FOLDER.glob("*/defs.yaml"))
    problems = collect_problems(files, load_pipeline_file, None if paths else load_pipelines)
    for problem in problems:
        err.print(problem.one_line(), markup=False, soft_wrap=True)
    if problems:
        raise typer.Exit(EXIT_USAGE)
    count = sum(len(load_pipeline_file(path)) for path in files)
    out.print(f"{count} pipelines are valid.", markup=False)


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="Name of the pipeline.")],
    partition: Annotated[
        str, typer.Option(help="Its window, for example 2026-01-15; not for one without windows.")
    ] = "",
    step: Annotated[str, typer.Option(help="Only this step.")] = "",
    as_json: AsJson = False,
) -> None:
    """Run one window of a pipeline here, step by step, without Dagster. Run again it leaves the same rows.

    Example: lakehouse pipelines run daily_etl --partition 2026-01-15
    """
    from lakehouse.contracts.pipelines import load_pipeline
    from lakehouse.contracts.window import WHOLE, window_of
    from lakehouse.lake.batch.run import run_pipeline, run_step
    from lakehouse.settings import load_settings

    pipeline = load_pipeline(name)
    if pipeline.cadence != "none" and not partition:
        raise UsageError(f"{name} runs window by window.", fix=f"lakehouse pipelines run {name} --partition …")
    key = partition or WHOLE
    window_of(pipeline.cadence, key, pipeline.start)
    known = [known.name for _, known in pipeline.steps()]
    if step and step not in known:
        raise UsageError(f"{name} has no step {step!r}.", fix=f"Its steps: {', '.join(known)}.")
    settings = load_settings()
    require_services(settings)

    def show(report: Any) -> None:
        err.print(f"✓ {report.stage} {report.step}: {report.rows:,} rows, {report.seconds:.1f} s", markup=False)

    reports = [run_step(pipeline, step, key, settings)] if step else run_pipeline(pipeline, key, settings, show)
    if as_json:
        print_json([asdict(report) for report in reports])
        return
    rows = [[r.stage, r.step, f"{r.rows:,}", f"{r.rejected:,}", f"{r.seconds:.1f} s"] for r in reports]
    print_table("", ["stage", "step", "rows", "rejected", "took"], rows)


def _cell(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
