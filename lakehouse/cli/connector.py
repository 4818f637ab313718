"""`lakehouse connector`: connectors of Kafka Connect, from the templates in `infra/connect/`.

Here: arguments and output. Not here: requests (`kafka.connect`), templates (`kafka.connectors`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.console import err, print_json, print_table
from lakehouse.errors import EXIT_UNHEALTHY, UsageError

if TYPE_CHECKING:
    from lakehouse.kafka.connect import Connect, ConnectorStatus

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Connectors of Kafka Connect."
)

CDC = "postgres-cdc-connector"
Name = Annotated[str, typer.Argument(help="Name of a deployed connector.")]
Template = Annotated[str, typer.Argument(help="A file in infra/connect, without .json.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="key=value of the configuration; wins.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


@app.command()
def render(template: Template = CDC, changes: Changes = None) -> None:
    """Print a connector as Connect wants it; secrets stay placeholders that Connect fills in.

    Example: lakehouse connector render snowflake_connector --set topics=sales_events
    """
    from lakehouse.kafka.connectors import render as rendered
    from lakehouse.settings import load_settings

    found = rendered(template, load_settings(), _pairs(changes))
    print_json({"name": found.name, "config": found.config})


@app.command()
def deploy(
    template: Template = CDC,
    changes: Changes = None,
    init: Annotated[bool, typer.Option("--init", help="First run infra/postgres/source.sql on the source.")] = False,
    avro: Annotated[
        bool, typer.Option("--avro", help="Write Avro through the registry; needs up --with cdc --with registry.")
    ] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until it runs.")] = 60,
) -> None:
    """Create a connector, or bring its configuration up to date, and wait until it runs.

    \b
    Examples:
      lakehouse connector deploy --init                          change data capture of customers and orders
      lakehouse connector deploy --init --avro                   the same as Avro, for topics of format avro
      lakehouse connector deploy --set snapshot.mode=no_data     without the rows that are there already
    """  # noqa: D301 - click keeps the lines of a paragraph that begins with a backspace
    from lakehouse.kafka.connect import Connect
    from lakehouse.kafka.connectors import avro_settings
    from lakehouse.kafka.connectors import render as rendered
    from lakehouse.settings import load_settings

    settings = load_settings()
    found = rendered(template, settings, (avro_settings(settings) if avro else {}) | _pairs(changes))
    client = Connect.of(settings)
    if init:
        from lakehouse.sources.captured import init_source

        init_source(settings)
    changed = client.deploy(found.name, found.config)
    status = client.wait_running(found.name, wait) if wait else None
    what = "deployed" if changed else "already deployed as it is"
    typer.echo(f"{found.name}: {what}{f', {status.state}' if status else ''}")


@app.command()
def status(name: Annotated[str | None, typer.Argument(help="One connector.")] = None, as_json: AsJson = False) -> None:
    """Show connectors and their tasks. Exit code 10 when one has failed.

    Example: lakehouse connector status
    """
    from dataclasses import asdict

    found = [_client().status(known) for known in ([name] if name else _client().names())]
    if as_json:
        print_json([asdict(entry) for entry in found])
    elif found:
        print_table("", ["connector", "state", "tasks"], [[e.name, e.state, ", ".join(e.tasks)] for e in found])
    else:
        err.print("no connector is deployed; deploy one: lakehouse connector deploy --init")
    for entry in found:
        _tell_failure(entry)
    if any(entry.has_failed for entry in found):
        raise typer.Exit(EXIT_UNHEALTHY)


@app.command()
def pause(name: Name = CDC) -> None:
    """Stop a connector where it is. A paused source's slot keeps PostgreSQL's log.

    Example: lakehouse connector pause postgres-cdc-connector
    """
    _client().status(name)
    _client().pause(name)
    typer.echo(f"{name}: paused")


@app.command()
def resume(name: Name = CDC, wait: Annotated[float, typer.Option(min=0.1)] = 60) -> None:
    """Go on after a pause, and wait until it runs.

    Example: lakehouse connector resume postgres-cdc-connector
    """
    _client().status(name)
    _client().resume(name)
    typer.echo(f"{name}: {_client().wait_running(name, wait).state}")


@app.command()
def restart(
    name: Name = CDC,
    everything: Annotated[bool, typer.Option("--all", help="Also what has not failed.")] = False,
) -> None:
    """Start what has failed of a connector anew; Connect does not do it by itself.

    Example: lakehouse connector restart postgres-cdc-connector
    """
    _client().restart(name, only_failed=not everything)
    typer.echo(f"{name}: restart asked for; see lakehouse connector status")


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Needed: nobody is asked.")] = False,
) -> None:
    """Remove a connector. Its topics stay; PostgreSQL's slot stays too, and keeps the log until it is dropped.

    Example: lakehouse connector delete postgres-cdc-connector --yes
    """
    if not yes:
        raise UsageError(
            f"{name} would be removed.", fix="Add --yes. To stop it for a while: lakehouse connector pause"
        )
    _client().delete(name)
    typer.echo(f"{name}: removed")


@app.command()
def logs(
    name: Annotated[str | None, typer.Argument(help="Only lines that name this connector.")] = None,
    lines: Annotated[int, typer.Option(min=1, help="So many lines at most.")] = 50,
) -> None:
    """Show why connectors failed, then the end of the embedded Connect's log.

    Example: lakehouse connector logs --lines 100
    """
    from lakehouse.errors import LakehouseError
    from lakehouse.settings import load_settings

    try:
        for known in [name] if name else _client().names():
            for trace in _client().status(known).traces:
                typer.echo(f"{known}: {trace.rstrip()}")
    except LakehouseError as error:
        # The log is most wanted when Connect does not answer.
        err.print(error.one_line(), markup=False, soft_wrap=True)
    path = load_settings().home / "logs" / "connect.log"
    if not path.is_file():
        err.print(f"no log at {path}: Connect is not embedded here; read its own log", soft_wrap=True)
        return
    for line in _tail(path, name, lines):
        typer.echo(line)


def _tail(path: Path, name: str | None, count: int) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in text if name is None or name in line][-count:]


def _client() -> "Connect":
    from lakehouse.kafka.connect import Connect
    from lakehouse.settings import load_settings

    return Connect.of(load_settings())


def _pairs(changes: list[str] | None) -> dict[str, str]:
    pairs = {}
    for change in changes or []:
        key, equals, value = change.partition("=")
        if not key or not equals:
            raise UsageError(f"--set {change!r} is not key=value.")
        pairs[key] = value
    return pairs


def _tell_failure(entry: "ConnectorStatus") -> None:
    from lakehouse.kafka.connect import reason

    if entry.has_failed:
        err.print(f"{entry.name}: {reason(entry)}", markup=False, soft_wrap=True)
