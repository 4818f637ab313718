"""`lakehouse backfill`: recompute event dates of silver from bronze, as a recorded Dagster backfill where Dagster runs.

Here: the command. Not here: the work (`lakehouse.lake.rebuild.backfill`), talking to Dagster
(`lakehouse.ops.dagster_api`).
"""

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.console import err, print_json, print_table
from lakehouse.cli.dates import day_option
from lakehouse.cli.services import require_services
from lakehouse.errors import UsageError

if TYPE_CHECKING:
    from lakehouse.contracts.model import StreamContract
    from lakehouse.contracts.pipeline import PipelineContract
    from lakehouse.settings import Settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def backfill(
    stream: Annotated[str, typer.Argument(help="Name of the stream, or of the batch pipeline.")],
    first: Annotated[date, day_option("--from", "First event date, YYYY-MM-DD (UTC).")],
    last: Annotated[date, day_option("--to", "Last event date, included.")],
    bronze: bool = typer.Option(False, "--bronze", help="Also compare these arrival days of bronze with the broker."),
    direct: bool = typer.Option(False, "--direct", help="Do it here, even when Dagster runs; Dagster won't know."),
    wait: bool = typer.Option(True, "--wait/--no-wait", help="Wait until Dagster has finished."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be done."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
) -> None:
    """Recompute days: silver of a stream from bronze, which is never rewritten, or the windows of a batch pipeline.

    \b
    Examples:
      lakehouse backfill sales --from 2026-11-01 --to 2026-11-03
      lakehouse backfill backfillable_etl --from 2024-01-01 --to 2024-01-31
    """  # noqa: D301 - click keeps the lines of a paragraph that begins with a backspace
    from lakehouse.contracts.load import load_stream
    from lakehouse.contracts.pipelines import load_pipelines
    from lakehouse.ops.dagster_api import find_dagster
    from lakehouse.settings import load_settings

    pipeline = load_pipelines().get(stream)
    if pipeline is not None:
        if bronze:
            raise UsageError(
                f"--bronze: {stream} is a batch pipeline and has no bronze of a topic.", fix="Leave it out."
            )
        _pipeline(pipeline, first, last, direct=direct, wait=wait, dry_run=dry_run, as_json=as_json)
        return
    contract = load_stream(stream)
    days = days_between(first, last, start=contract.start, today=datetime.now(tz=UTC).date())
    settings = load_settings()
    url = None if direct else find_dagster(settings)
    layers = ["bronze", "silver"] if bronze else ["silver"]
    if dry_run:
        how = f"as a backfill of Dagster at {url}" if url else "here, in this process"
        plan = {"stream": stream, "layers": layers, "days": [day.isoformat() for day in days], "dagster": url}
        err.print(f"would recompute {len(days)} days of {', '.join(layers)} {how}", soft_wrap=True)
        if as_json:
            print_json(plan)
        return
    result = _in_dagster(url, contract, layers, days, wait=wait) if url else _here(contract, settings, layers, days)
    if as_json:
        print_json(result)
    elif url is None:
        rows = [[r["layer"], r["day"], f"{r['rows']:,}", f"{r['seconds']:.1f} s", r["note"]] for r in result["days"]]
        print_table("", ["table", "day", "rows", "took", "what"], rows)


def _pipeline(
    pipeline: "PipelineContract", first: date, last: date, *, direct: bool, wait: bool, dry_run: bool, as_json: bool
) -> None:
    from lakehouse.cli import backfill_pipeline as work
    from lakehouse.ops.dagster_api import find_dagster
    from lakehouse.settings import load_settings

    now = datetime.now(tz=UTC)
    keys = work.windows_of(pipeline, days_between(first, last, start=pipeline.start, today=now.date()), now)
    settings = load_settings()
    url = None if direct else find_dagster(settings)
    if dry_run:
        how = f"as a backfill of Dagster at {url}" if url else "here, in this process"
        err.print(f"would run {len(keys)} windows of {pipeline.name} {how}", soft_wrap=True)
        if as_json:
            print_json({"pipeline": pipeline.name, "windows": keys, "dagster": url})
        return
    result = work.in_dagster(url, pipeline, keys, wait=wait) if url else work.here(pipeline, keys, settings)
    if as_json:
        print_json(result)
    elif url is None:
        rows = [[w["window"], f"{w['rows']:,}", f"{w['seconds']:.1f} s"] for w in result["windows"]]
        print_table("", ["window", "rows loaded", "took"], rows)


def days_between(first: date, last: date, *, start: date, today: date) -> list[date]:
    """The days from first to last, both included.

    Raises:
        UsageError: wrong order, before the stream's start or in the future.
    """
    if first > last:
        raise UsageError(f"--from {first} is later than --to {last}.", fix="Swap them.")
    if first < start or last > today:
        raise UsageError(
            f"{first} to {last} is not within this stream's days.", fix=f"Choose days from {start} to {today} (UTC)."
        )
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def _in_dagster(
    url: str, contract: "StreamContract", layers: list[str], days: list[date], *, wait: bool
) -> dict[str, Any]:
    from lakehouse.ops import dagster_api

    keys = [[layer, contract.name] for layer in layers]
    title = f"lakehouse backfill {contract.name} {days[0]} to {days[-1]}"
    backfill_id = dagster_api.launch_backfill(url, keys, [day.isoformat() for day in days], title=title)
    page = f"{url}/runs/b/{backfill_id}"
    err.print(f"Dagster has it: {page}", soft_wrap=True)
    result = {"backfill": backfill_id, "url": page, "days": [day.isoformat() for day in days], "status": "REQUESTED"}
    if wait:
        with err.status(f"recomputing {len(days)} days …"):
            result["status"] = dagster_api.wait_for_backfill(url, backfill_id)
        if result["status"] != "COMPLETED_SUCCESS":
            from lakehouse.cli.backfill_pipeline import BackfillFailedError

            raise BackfillFailedError(f"Backfill {backfill_id} ended {result['status']}.", fix=f"See {page}")
        err.print(f"✓ {len(days)} days of {', '.join(layers)} of {contract.name}")
    return result


def _here(contract: "StreamContract", settings: "Settings", layers: list[str], days: list[date]) -> dict[str, Any]:
    from rich.progress import Progress

    from lakehouse.lake.rebuild import backfill as work
    from lakehouse.lake.repair.bronze_day import verify_bronze_day

    require_services(settings, kafka="bronze" in layers)
    done: list[dict[str, Any]] = []
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(contract.name, total=len(days) * len(layers))

        def keep(layer: str, report: Any) -> None:
            done.append({"layer": layer, **asdict(report)})
            bar.advance(task)

        if "bronze" in layers:
            for day in days:
                keep("bronze", verify_bronze_day(contract, settings, day))
        work.rebuild_silver(contract, settings, days, lambda report: keep("silver", report))
    return {"stream": contract.name, "days": done}
