"""`lakehouse speed`: bring windows, sessions and the real-time views up to silver.

Here: options and printing. Not here: the work (`lake.speed`).
"""

import dataclasses

import typer

from lakehouse.cli.console import err, out, print_json, print_table
from lakehouse.cli.services import require_services
from lakehouse.errors import EXIT_UNHEALTHY
from lakehouse.settings import Settings, load_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def speed(
    check: bool = typer.Option(False, "--check", help="Compute every table once more and compare; write nothing."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Take silver's new user events into windows, sessions and the real-time views. A second run does nothing.

    With --check the exit code is 10 when a table is not what silver makes of it.

    Examples:
      lakehouse speed
      lakehouse speed --check
    """
    settings = load_settings()
    if check:
        require_services(settings)
        _check(settings, as_json=as_json)
        return
    from lakehouse.lake.batch.daily_views import record_of
    from lakehouse.lake.paths import LakePaths
    from lakehouse.lake.speed.run import advance, is_behind

    if is_behind(settings):
        require_services(settings)
    record = record_of(LakePaths.of(settings))
    with err.status("Reading what is new in silver …") as status:
        done = advance(
            settings,
            keep_from=record.boundary if record else None,
            report=lambda step: status.update(f"{step.table}: step {step.step}, {step.rows:,} rows"),
        )
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    for step in done.steps:
        again = ", computed anew" if step.is_rebuild else ""
        out.print(
            f"{step.table}: {step.rows:,} rows, {step.late:,} late, through batch {step.through}, "
            f"{step.seconds:.1f} s{again}",
            markup=False,
        )
    if not done.steps:
        out.print("The speed layer is up to date.")


def _check(settings: Settings, *, as_json: bool) -> None:
    from lakehouse.lake.speed.proof import prove

    with err.status("Computing every table once more …"):
        proofs = prove(settings)
    if as_json:
        print_json([{**dataclasses.asdict(proof), "holds": proof.holds} for proof in proofs])
    else:
        columns = ["table", "through", "rows", "late", "missing", "unexpected"]
        print_table("", columns, [[getattr(proof, name) for name in columns] for proof in proofs])
    if not all(proof.holds for proof in proofs):
        raise typer.Exit(EXIT_UNHEALTHY)
