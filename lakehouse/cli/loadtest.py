"""`lakehouse loadtest`: a steady load for a time, then latency percentiles, loss and duplicates."""

import dataclasses
import random
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.cli.services import require_services
from lakehouse.cli.signals import sigterm_as_ctrl_c
from lakehouse.errors import EXIT_UNHEALTHY, UsageError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def loadtest(
    duration: Annotated[float, typer.Option("--duration", help="Seconds of load.")] = 60.0,
    rate: Annotated[float, typer.Option("--rate", help="Events per second.")] = 1000.0,
    seed: Annotated[int | None, typer.Option(help="The same seed sends the same sales.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scratch lake and say where it is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Send sales at a steady rate to a topic of its own, drain them into a scratch lake, prove that all arrived once.

    Uses the broker and the Spark server that run; your topics and your lake are not touched. Exit code 10 when anything
    was lost, doubled or refused. Ctrl-C ends it without a verdict, and removes topic and lake.

    Examples:
      lakehouse loadtest --duration 30 --rate 2000

      lakehouse loadtest --duration 3600 --json
    """
    if duration <= 0 or rate <= 0:
        raise UsageError("--duration and --rate are above 0.")
    from lakehouse.contracts.load import load_stream
    from lakehouse.kafka.scratch import delete_scratch, scratch_name
    from lakehouse.lake.soak.load_test import load_test
    from lakehouse.settings import load_settings

    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    sales = load_stream("sales")
    topic = sales.topic.model_copy(update={"name": scratch_name()})
    contract = sales.model_copy(update={"topic": topic})
    known = load_settings()
    require_services(known, kafka=True)
    home = Path(tempfile.mkdtemp(prefix="lakehouse-loadtest-"))
    settings = load_settings(
        LAKEHOUSE_HOME=home, LAKEHOUSE_ROOT=str(home / "lake"),
        KAFKA_BOOTSTRAP_SERVERS=known.kafka_bootstrap_servers, SPARK_REMOTE=known.spark_remote,
    )  # fmt: skip

    def say(line: str) -> None:
        err.print(line, markup=False, style="dim")

    try:
        with sigterm_as_ctrl_c():
            report = load_test(contract, settings, seconds=duration, rate=rate, seed=seed, say=say)
    except KeyboardInterrupt:
        say("stopped before its end; cleaning up")
        raise
    finally:
        try:
            delete_scratch(settings, [topic.name, topic.dlq])
        finally:
            if keep:
                err.print(f"scratch lake: {home}", markup=False, soft_wrap=True)
            else:
                shutil.rmtree(home, ignore_errors=True)
    if as_json:
        print_json({"ok": report.ok, "seed": seed, **dataclasses.asdict(report)})
    else:
        out.print(
            f"{report.sent:,} events in {report.seconds:.1f} s = {report.rate:,.0f}/s of {report.wanted_rate:,.0f}/s · "
            f"{report.bronze:,} in bronze in {report.batches} batches · lost {report.lost} · doubled {report.doubled}",
            markup=False,
        )
        if report.to_bronze:
            found = report.to_bronze
            out.print(
                f"to bronze: p50 {found.p50:.2f} s · p95 {found.p95:.2f} s · p99 {found.p99:.2f} s · "
                f"most {found.most:.2f} s",
                markup=False,
            )
        for finding in report.findings:
            out.print(f"✗ {finding}", style="red", markup=False)
    if not report.ok:
        raise typer.Exit(EXIT_UNHEALTHY)
