"""`lakehouse metrics`: figures of machine, pipeline and data quality; for Prometheus, as a file or over HTTP."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.errors import EXIT_UNHEALTHY

if TYPE_CHECKING:
    from lakehouse.ops.samples import Sample

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def metrics(
    textfile: Annotated[Path | None, typer.Option(help="Write this .prom file for node_exporter instead.")] = None,
    serve: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve /metrics on this port (127.0.0.1) until Ctrl-C.")
    ] = None,
    publish: Annotated[bool, typer.Option("--publish", help="Send the figures to the topic system-metrics.")] = False,
    alerts: Annotated[
        bool, typer.Option("--alerts", help="Show what the alert rules say; exit code 10 for any.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout instead of Prometheus' text.")] = False,
) -> None:
    """Measure once and print in Prometheus' text format. Runs of Dagster are measured by its job `monitoring_job`.

    Examples:
      lakehouse metrics

      lakehouse metrics --serve 9464
    """
    from lakehouse.ops.prometheus import exposition, server, write_textfile

    if serve is not None:
        with server(serve, _measure) as web:
            err.print(f"http://127.0.0.1:{web.server_port}/metrics until Ctrl-C", markup=False)
            web.serve_forever(poll_interval=0.2)
    samples = _measure()
    if publish:
        _publish(samples)
    if alerts:
        _show_alerts(samples, as_json=as_json)
    elif textfile is not None:
        write_textfile(samples, textfile)
        err.print(f"{len(samples)} figures written to {textfile}", markup=False)
    elif as_json:
        print_json([dataclasses.asdict(sample) for sample in samples])
    else:
        out.print(exposition(samples), markup=False, end="", soft_wrap=True)


def _measure() -> "list[Sample]":
    from lakehouse.contracts.load import load_streams
    from lakehouse.lake.monitoring.metrics import sample_all
    from lakehouse.settings import load_settings

    return sample_all(load_streams().values(), load_settings(), now=datetime.now(UTC))


def _publish(samples: "list[Sample]") -> None:
    from lakehouse.lake.monitoring.outbox import METRICS_STREAM, send
    from lakehouse.ops.host import host_name
    from lakehouse.settings import load_settings

    sent = send(METRICS_STREAM, "sample_id", [sample.as_event(host_name()) for sample in samples], load_settings())
    err.print(f"{sent} figures published", markup=False)


def _show_alerts(samples: "list[Sample]", *, as_json: bool) -> None:
    from lakehouse.ops.alerts import evaluate, load_alerts

    found = evaluate(load_alerts(), samples)
    if as_json:
        print_json([dataclasses.asdict(alert) for alert in found])
    else:
        for alert in found:
            out.print(f"{alert.severity}: {alert.summary} ({alert.runbook})", markup=False)
        out.print(f"{len(found)} alerts", markup=False)
    if found:
        raise typer.Exit(EXIT_UNHEALTHY)
