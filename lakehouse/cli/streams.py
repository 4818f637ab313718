"""`lakehouse streams`: list, show and validate stream contracts; make a new one from a sample of events.

Here: arguments and printing. Not here: contracts (`contracts`).
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.console import err, out, print_json, print_table
from lakehouse.errors import EXIT_USAGE, UsageError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="List streams; make a new one from a sample.")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


class Format(StrEnum):
    """Renderings of a contract."""

    yaml = "yaml"
    json_schema = "json-schema"
    avro = "avro"
    spark = "spark"


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """List the streams.

    Example: lakehouse streams list --json
    """
    from lakehouse.contracts.load import load_streams

    rows = [
        {
            "stream": contract.name,
            "topic": contract.topic.name,
            "mode": contract.mode,
            "key": contract.key,
            "event_time": contract.event_time,
            "fields": len(contract.fields),
            "rules": len(contract.rules) + len(contract.table_rules),
            "description": contract.description,
        }
        for contract in load_streams().values()
    ]
    if as_json:
        print_json(rows)
        return
    columns = ["stream", "topic", "mode", "key", "event_time", "fields", "rules"]
    print_table("", columns, [[_cell(row[column]) for column in columns] for row in rows])


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the stream: lower-case letters, digits and _.")],
    sample: Annotated[Path, typer.Option("--from", help="JSON object, array of them, or one per line.")],
    output: Annotated[Path | None, typer.Option(help="Folder for NAME/defs.yaml, if not the project's.")] = None,
) -> None:
    """Make a stream's YAML from a sample: types, key, event time and personal fields are guessed, for you to confirm.

    Example: lakehouse streams new payments --from sample.json
    """
    from lakehouse.contracts.infer import infer_contract, read_sample
    from lakehouse.contracts.load import STREAMS_FOLDER, load_streams

    folder = output or STREAMS_FOLDER
    path = folder / name / "defs.yaml"
    if path.exists():
        raise UsageError(f"{path} exists already.", fix="Choose another name, or change that file.")
    known = load_streams(folder)
    if name in known:
        raise UsageError(f"There is a stream {name!r} already.", fix="Choose another name.")
    text = infer_contract(name, read_sample(sample))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    out.print(str(path), markup=False)
    guesses = text.count("confirm")
    err.print(
        f"{guesses} guesses to confirm in it. Next: lakehouse topics apply, then lakehouse check {name}.",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the stream.")],
    form: Annotated[Format, typer.Option("--format", help="How to write the contract.")] = Format.yaml,
) -> None:
    """Print a contract: its YAML, the event's JSON Schema or Avro schema, or Spark's DDL.

    Example: lakehouse streams show sales --format avro
    """
    from lakehouse.contracts import schemas
    from lakehouse.contracts.load import STREAMS_FOLDER, load_contract, load_stream

    contract = load_stream(name)
    if form is Format.json_schema:
        print_json(schemas.json_schema(contract))
    elif form is Format.avro:
        print_json(schemas.avro_schema(contract))
    elif form is Format.spark:
        out.print(f"event:  {schemas.event_ddl(contract)}", markup=False)
        out.print(f"silver: {schemas.silver_ddl(contract)}", markup=False)
    else:
        path = next(path for path in STREAMS_FOLDER.glob("*/defs.yaml") if load_contract(path).name == name)
        out.print(path.read_text(encoding="utf-8"), markup=False, end="")


@app.command()
def validate(
    paths: Annotated[list[Path] | None, typer.Argument(help="YAML files; without, all streams.")] = None,
) -> None:
    """Check contracts: every mistake with file, line, field and what is allowed. Exit code 2 when there is one.

    Example: lakehouse streams validate lakehouse/defs/streams/sales/defs.yaml
    """
    from lakehouse.contracts.load import STREAMS_FOLDER, collect_problems, load_contract, load_streams

    files = paths or sorted(STREAMS_FOLDER.glob("*/defs.yaml"))
    problems = collect_problems(files, load_contract, None if paths else load_streams)
    for problem in problems:
        err.print(problem.one_line(), markup=False, soft_wrap=True)
    if problems:
        raise typer.Exit(EXIT_USAGE)
    out.print(f"{len(files)} contracts are valid.", markup=False)


def _cell(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
