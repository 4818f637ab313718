"""`lakehouse schemas`: the schemas of the streams' topics, in the registry, in the lake and by the contract.

Here: arguments and printing. Not here: the registry (`contracts.registry`), what changed (`contracts.evolution`).
"""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.console import err, out, print_json, print_table
from lakehouse.errors import EXIT_UNHEALTHY, LakehouseError, RegistryUnreachableError

if TYPE_CHECKING:
    from lakehouse.contracts.model import StreamContract
    from lakehouse.settings import Settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Schemas of the topics: list, show, check, register."
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Stream = Annotated[str, typer.Argument(help="Name of the stream, for example sales.")]
Streams = Annotated[list[str] | None, typer.Argument(help="Streams; all when none is named.")]


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """List each stream's schema: format, versions in the registry, ids the lake knows, what silver holds.

    Example: lakehouse schemas list --json
    """
    from lakehouse.contracts.registry import Registry, subject_of
    from lakehouse.lake.paths import LakePaths
    from lakehouse.lake.schema.accepted import read_accepted
    from lakehouse.lake.schema.registered import known_schemas
    from lakehouse.settings import load_settings

    settings = load_settings()
    paths = LakePaths.of(settings)
    registry = Registry.of(settings)
    rows = []
    for contract in _chosen(None):
        subject = subject_of(contract.topic.name)
        accepted = read_accepted(paths.silver(contract.name))
        rows.append(
            {
                "stream": contract.name,
                "format": contract.topic.format,
                "subject": subject,
                "registered": [] if registry is None else _versions(registry, subject),
                "known_ids": sorted(known_schemas(paths, contract.name)),
                "silver_schema": accepted.version if accepted else None,
            }
        )
    if as_json:
        print_json(rows)
        return
    columns = ["stream", "format", "subject", "registered", "known_ids", "silver_schema"]
    print_table("", columns, [[_cell(row[column]) for column in columns] for row in rows])


@app.command()
def show(stream: Stream, version: Annotated[int | None, typer.Option(help="Of the registry.")] = None) -> None:
    """Print a schema: what the contract would register, or a version that the registry has.

    Of change data it is the newest one that the connector registered.

    Example: lakehouse schemas show sales --version 1
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.contracts.registration import registered_form
    from lakehouse.contracts.registry import Registry, subject_of
    from lakehouse.errors import UsageError
    from lakehouse.settings import load_settings

    contract = load_stream(stream)
    if version is None and not contract.is_cdc:
        print_json(json.loads(registered_form(contract)[1]))
        return
    subject = subject_of(contract.topic.name)
    versions = {found.version: found for found in Registry.required(load_settings()).versions(subject)}
    wanted = max(versions, default=1) if version is None else version
    if wanted not in versions:
        known = ", ".join(map(str, versions)) or "none"
        raise UsageError(f"{subject} has no version {wanted}.", fix=f"Versions: {known}.")
    print_json(json.loads(versions[wanted].text))


@app.command()
def check(streams: Streams = None, as_json: AsJson = False) -> None:
    """May silver and the registry follow the contracts? Writes nothing. Exit code 10 names each field and rule.

    Example: lakehouse schemas check sales
    """
    from lakehouse.lake.paths import LakePaths
    from lakehouse.lake.schema.accepted import schema_problems
    from lakehouse.settings import load_settings

    settings = load_settings()
    results = []
    for contract in _chosen(streams):
        problems = [f"silver: {problem}" for problem in schema_problems(contract, LakePaths.of(settings))]
        problems += [f"registry: {problem}" for problem in _registry_problems(contract, settings)]
        results.append({"stream": contract.name, "problems": problems})
    if as_json:
        print_json(results)
    for result in results if not as_json else []:
        for problem in result["problems"]:
            out.print(f"{result['stream']} {problem}", markup=False)
    if any(result["problems"] for result in results):
        raise typer.Exit(EXIT_UNHEALTHY)
    if not as_json:
        out.print(f"{len(results)} contracts may be followed; nothing was written.", markup=False)


@app.command()
def register(streams: Streams = None, as_json: AsJson = False) -> None:
    """Register the contracts' schemas: Avro or JSON Schema, by the topic's format. A second time changes nothing.

    Change data is left out: its connector registers what it writes, which is not the row alone.

    Example: lakehouse schemas register sales
    """
    from lakehouse.contracts.registry import Registry, subject_of
    from lakehouse.errors import UsageError
    from lakehouse.settings import load_settings
    from lakehouse.sources.serde import register as register_schema

    registry = Registry.required(load_settings())
    chosen = _chosen(streams)
    captured = [contract.name for contract in chosen if contract.is_cdc]
    if captured and streams:
        raise UsageError(
            f"The schemas of {', '.join(captured)} are not registered from here.",
            why="The topic holds change records; the connector registers their envelope as it writes it.",
            fix=f"lakehouse schemas check {captured[0]} compares the contract with it.",
        )
    done = []
    for contract in chosen:
        if contract.is_cdc:
            continue
        number, _ = register_schema(contract, registry)
        done.append({"stream": contract.name, "subject": subject_of(contract.topic.name), "id": number})
    if as_json:
        print_json(done)
        return
    for entry in done:
        out.print(f"{entry['subject']}: schema {entry['id']}", markup=False)


def _chosen(names: list[str] | None) -> "list[StreamContract]":
    from lakehouse.contracts.load import load_stream, load_streams

    return [load_stream(name) for name in names] if names else list(load_streams().values())


def _versions(registry: Any, subject: str) -> list[str]:
    """`version (id)` of each; a registry that does not answer is said once and counts as empty."""
    try:
        return [f"v{found.version} (id {found.id})" for found in registry.versions(subject)]
    except LakehouseError as error:
        err.print(f"warning: {error.problem}", style="yellow", markup=False, soft_wrap=True)
        return []


def _registry_problems(contract: "StreamContract", settings: "Settings") -> list[str]:
    from lakehouse.contracts.captured import captured_problems
    from lakehouse.contracts.registration import AVRO, registered_form, registration_problems
    from lakehouse.contracts.registry import Registry, subject_of

    registry = Registry.of(settings)
    if registry is None:
        return []
    try:
        newest = registry.latest(subject_of(contract.topic.name))
        if newest is None:
            return []
        if contract.is_cdc:
            return captured_problems(contract, newest.text) if newest.kind == AVRO else []
        kind, text = registered_form(contract, newest.text if newest.kind == "JSON" else "")
        if registry.accepts(newest.subject, kind, text):
            return []
    except RegistryUnreachableError as error:
        err.print(f"warning: {error.problem}", style="yellow", markup=False, soft_wrap=True)
        return []
    named = registration_problems(newest.text, text, kind) if kind == newest.kind else f"{newest.kind} becomes {kind}"
    return [named or "it refuses the schema"]


def _cell(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
