"""`lakehouse health`: is it well now? Every answer comes from a real request.

Here: the command, and the services. Not here: what lies in files of this machine (`cli.health_files`).
"""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from lakehouse.cli.console import err, print_json, print_table
from lakehouse.cli.health_files import Health, ask_contracts, ask_gold, ask_lake
from lakehouse.errors import EXIT_UNHEALTHY

if TYPE_CHECKING:
    from lakehouse.settings import Settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)

ANSWER_SECONDS = 10.0
PAUSE_SECONDS = 1.0


@app.command()
def health(
    as_json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
    wait: float = typer.Option(0, "--wait", min=0, help="Ask again for up to this many seconds until healthy."),
) -> None:
    """Ask Kafka, Spark, contracts, lake, gold; PostgreSQL, Connect, registry, Dagster, other services where configured.

    Exit code 0 healthy · 10 unhealthy · 1 could not ask.

    Example: lakehouse health --wait 60
    """
    from lakehouse.settings import load_settings

    deadline = time.monotonic() + wait
    while True:
        parts = examine(load_settings())
        is_healthy = all(part.state != "unhealthy" for part in parts)
        if is_healthy or time.monotonic() >= deadline:
            break
        err.print(f"waiting for {', '.join(p.name for p in parts if p.state == 'unhealthy')} …")
        time.sleep(PAUSE_SECONDS)
    if as_json:
        print_json({"healthy": is_healthy, "parts": [asdict(part) for part in parts]})
    else:
        print_table("", ["part", "state", "detail"], [[part.name, part.state, part.detail] for part in parts])
        for part in parts:
            if part.fix:
                err.print(f"{part.name}: {part.fix}", soft_wrap=True, markup=False)
    if not is_healthy:
        raise typer.Exit(EXIT_UNHEALTHY)


def examine(settings: "Settings") -> list[Health]:
    """Ask every part once, in order."""
    return [
        ask_kafka(settings),
        ask_spark(settings),
        ask_contracts(),
        ask_lake(settings),
        ask_gold(settings),
        *ask_postgres(settings),
        *ask_connect(settings),
        *ask_registry(settings),
        *ask_dagster(settings),
        *ask_circuits(settings),
    ]


def ask_kafka(settings: "Settings") -> Health:
    """The broker's metadata."""
    from confluent_kafka import KafkaException

    from lakehouse.errors import LakehouseError
    from lakehouse.kafka.client import admin_client, translate

    try:
        admin = admin_client(settings, timeout_seconds=ANSWER_SECONDS)
        cluster = admin.list_topics(timeout=ANSWER_SECONDS).cluster_id
    except KafkaException as failure:
        error = translate(failure, settings, doing="asking for metadata")
        return Health("kafka", "unhealthy", f"{error.problem} {error.why}", error.fix)
    except LakehouseError as error:
        return Health("kafka", "unhealthy", f"{error.problem} {error.why}", error.fix)
    return Health("kafka", "healthy", f"{settings.kafka_bootstrap_servers}, cluster {cluster}")


def ask_spark(settings: "Settings") -> Health:
    """`select 1` over Spark Connect."""
    from lakehouse.engine import spark
    from lakehouse.engine.spark_address import shown
    from lakehouse.errors import AccessDeniedError, SparkUnreachableError

    try:
        seconds = spark.ask(settings.spark_remote, timeout_seconds=2)
    except (AccessDeniedError, SparkUnreachableError) as error:
        return Health("spark", "unhealthy", f"{error.problem} {error.why}", error.fix)
    return Health("spark", "healthy", f"{shown(settings.spark_remote)}, `select 1` in {seconds:.1f} s")


def ask_postgres(settings: "Settings") -> list[Health]:
    """The version of the configured PostgreSQL; nothing when none is configured."""
    from lakehouse.engine.embedded import postgres
    from lakehouse.engine.postgres import shown
    from lakehouse.errors import LakehouseError

    if settings.postgres_url is None:
        return []
    url = settings.postgres_url.get_secret_value()
    try:
        version = postgres.ask(url, ANSWER_SECONDS)
    except LakehouseError as error:
        return [Health("postgres", "unhealthy", f"{error.problem} {error.why}", error.fix)]
    return [Health("postgres", "healthy", f"{shown(url)}, version {version}")]


def ask_connect(settings: "Settings") -> list[Health]:
    """Every connector of the configured Kafka Connect; nothing when none is configured."""
    from lakehouse.errors import LakehouseError
    from lakehouse.kafka.connect import Connect, reason

    if settings.connect_url is None:
        return []
    try:
        client = Connect.of(settings)
        found = [client.status(name) for name in client.names()]
    except LakehouseError as error:
        return [Health("connect", "unhealthy", f"{error.problem} {error.why}", error.fix)]
    for status in found:
        if status.has_failed:
            detail = f"connector {status.name} has failed: {reason(status)}"
            return [Health("connect", "unhealthy", detail, f"lakehouse connector restart {status.name}")]
    states = ", ".join(f"{status.name} {status.state}" for status in found) or "no connector"
    return [Health("connect", "healthy", f"{settings.connect_url}, {states}")]


def ask_registry(settings: "Settings") -> list[Health]:
    """The subjects and the rule of the configured schema registry; nothing when none is configured."""
    from lakehouse.contracts.registry import Registry
    from lakehouse.errors import LakehouseError

    registry = Registry.of(settings)
    if registry is None:
        return []
    try:
        subjects, rule = registry.subjects(), registry.compatibility()
    except LakehouseError as error:
        return [Health("registry", "unhealthy", f"{error.problem} {error.why}", error.fix)]
    return [Health("registry", "healthy", f"{registry.url}, {len(subjects)} subjects, compatibility {rule}")]


def ask_dagster(settings: "Settings") -> list[Health]:
    """The webserver and, through it, every daemon; nothing when Dagster is not configured."""
    from lakehouse.engine.embedded import dagster_ui

    if settings.dagster_url is None:
        return []
    url = settings.dagster_url
    if not dagster_ui.ask(url, ANSWER_SECONDS):
        return [Health("dagster", "unhealthy", f"{url} does not answer", "lakehouse status; lakehouse up --dagster")]
    idle = dagster_ui.unhealthy_daemons(url, ANSWER_SECONDS)
    if idle:
        detail = f"{url} answers, but these daemons do not run: {', '.join(idle)}"
        return [Health("dagster", "unhealthy", detail, "Read logs/dagster-daemon.log in the state folder.")]
    unloaded = dagster_ui.unloaded_code(url, ANSWER_SECONDS)
    if unloaded:
        detail = f"{url} answers, but nothing runs: the definitions do not load: {unloaded}"
        return [
            Health("dagster", "unhealthy", detail, "Correct it (lakehouse streams validate), then Reload in the UI.")
        ]
    return [Health("dagster", "healthy", f"{url}, every daemon beats")]


def ask_circuits(settings: "Settings") -> list[Health]:
    """The circuit breakers of outside services, as the last process that called them left them."""
    from lakehouse.engine.circuit_notes import known_circuits

    parts = []
    for circuit in known_circuits(settings):
        waiting = circuit.retry_at - time.time()
        if circuit.state == "closed":
            detail = f"circuit closed, {circuit.failures} failures in a row" if circuit.failures else "circuit closed"
        elif circuit.state == "open" and waiting > 0:
            detail = f"circuit open, tried again in {waiting:.0f} s; last failure: {circuit.reason}"
        else:
            detail = f"circuit {circuit.state}, the next call is a probe; last failure: {circuit.reason}"
        is_well = circuit.state != "open"
        parts.append(
            Health(circuit.name, "healthy" if is_well else "unhealthy", detail, "" if is_well else "Is it reachable?")
        )
    return parts
