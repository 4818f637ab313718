"""`lakehouse sql`: ask gold, or the lake's Delta tables, in SQL.

Here: where the query comes from, who is asked. Not here: how the answer looks (`cli.sql_view`), what gold holds
(`dbt_project/`).
"""

import difflib
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.console import err, out
from lakehouse.cli.sql_view import Output, show
from lakehouse.errors import UsageError
from lakehouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, Statement

app = typer.Typer(add_completion=False, rich_markup_mode=None)
# Where a layer's tables lie, when not in the folder of its name.
_FOLDERS = {"batch": "batch-views"}


class Layer(StrEnum):
    """Whose tables have plain names; the others are reached by theirs, such as silver.sales."""

    gold = "gold"
    silver = "silver"
    bronze = "bronze"
    quarantine = "quarantine"
    history = "history"
    speed = "speed"
    batch = "batch"
    ops = "ops"
    quality = "quality"
    restored = "restored"


@app.command()
def sql(
    query: str | None = typer.Argument(None, help="SQL in DuckDB's dialect; - reads it from stdin."),
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Read the SQL from this file.")] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="Form of the answer.")] = Output.table,
    as_json: bool = typer.Option(False, "--json", help="Same as --output json."),
    layer: Annotated[
        Layer,
        typer.Option(
            help="gold, or Delta tables: silver, bronze, quarantine, history, speed, batch, ops, quality, restored."
        ),
    ] = Layer.gold,
) -> None:
    """Query gold, read-only. Without a query: an interactive prompt.

    Examples:
      lakehouse sql "from sales_daily limit 5"

      lakehouse sql "select category, sum(net_amount) from fct_sales group by all" --output csv

      lakehouse sql --layer quarantine "select reasons, count(*) from sales group by all"
    """
    text = _query_text(query, file)
    settings = load_settings()
    if text is None and not sys.stdin.isatty():
        raise UsageError("No query was given.", fix='lakehouse sql "from sales_daily limit 5"')
    if text is None:
        _interactive(settings, layer)
        return
    with _connect(settings, layer) as connection:
        _answer(connection, text, Output.json if as_json else output)
        _say_source(connection, layer)


def _query_text(query: str | None, file: Path | None) -> str | None:
    if query is not None and file is not None:
        raise UsageError("Give the query or --file, not both.")
    if file is not None:
        if not file.is_file():
            raise UsageError(f"{file} is no readable file.")
        text = file.read_text(encoding="utf-8")
    elif query == "-":
        text = sys.stdin.read()
    elif query is None:
        return None
    else:
        text = query
    if not text.strip().strip(";"):
        raise UsageError("The query is empty.", fix='lakehouse sql "from sales_daily limit 5"')
    return text


def _connect(settings: Settings, layer: Layer) -> "DuckDBPyConnection":
    from lakehouse.engine.duck import delta_connection, duck_connection
    from lakehouse.lake.gold.builds import gold_path, require_gold

    if layer is Layer.gold:
        return duck_connection(require_gold(settings), read_only=True)
    connection = delta_connection()
    if gold_path(settings).is_file():
        connection.execute(f"attach '{_quoted(gold_path(settings))}' as gold (read_only)")
    _attach_lake(connection, settings)
    connection.execute(f"set search_path = '{layer.value}'")
    return connection


def _attach_lake(connection: "DuckDBPyConnection", settings: Settings) -> None:
    """A view over every Delta table of the lake, in a schema named after its layer, or after its batch pipeline."""
    from lakehouse.lake.paths import LakePaths

    root = Path(LakePaths.of(settings).root)
    for layer in (one.value for one in Layer if one is not Layer.gold):
        _attach_tables(connection, layer, root / _FOLDERS.get(layer, layer))
    for pipeline in sorted((root / "batch").glob("*")):
        _attach_tables(connection, pipeline.name, pipeline)


def _attach_tables(connection: "DuckDBPyConnection", schema: str, folder: Path) -> None:
    from lakehouse.lake.paths import table_exists

    schema = _as_name(schema)
    connection.execute(f"create schema if not exists {schema}")
    for table in sorted(folder.glob("*")):
        if table_exists(str(table)):
            view = f"{schema}.{_as_name(table.name)}"
            connection.execute(f"create view {view} as from delta_scan('{_quoted(table)}')")


def _as_name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _answer(connection: "DuckDBPyConnection", text: str, output: Output) -> None:
    """Run the statements in order and show every answer.

    Raises:
        UsageError: DuckDB refuses one, or the form holds one answer and there are more.
    """
    import duckdb

    try:
        statements = connection.extract_statements(text)
        questions = [statement for statement in statements if _asks(statement)]
        if len(questions) > 1 and output is not Output.table:
            raise UsageError(
                f"These are {len(questions)} questions, and {output.value} holds the answer to one.",
                fix="Ask them one by one, or put them together with UNION ALL; --output table shows each.",
            )
        # What only prepares a question, such as SET before a SELECT, has no answer of its own.
        shown = questions or statements[-1:]
        for statement in statements:
            result = connection.execute(statement)
            if statement not in shown:
                continue
            if statement is not shown[0]:
                out.print()
            show(result, output)
    except duckdb.Error as error:
        raise _explained(connection, error) from error


def _asks(statement: "Statement") -> bool:
    """Whether its result is rows, and nothing else."""
    from duckdb import ExpectedResultType

    return bool(statement.expected_result_type == [ExpectedResultType.QUERY_RESULT])


def _explained(connection: "DuckDBPyConnection", error: Exception) -> UsageError:
    """DuckDB's message as one line, with the nearest table when one was not found."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    problem = lines[0]
    hints = [line for line in lines[1:] if line.startswith(("Did you mean", "Candidate bindings"))]
    if "Table with name" in problem:
        wanted = problem.split("Table with name ", 1)[1].split(" ", 1)[0]
        tables = sorted(
            row[0]
            for row in connection.execute(
                "select table_name from duckdb_tables() union select view_name from duckdb_views() where not internal"
            ).fetchall()
            if not row[0].startswith("_")
        )
        near = difflib.get_close_matches(wanted, tables, n=1, cutoff=0.5)
        hints = [f"Did you mean {near[0]!r}?" if near else f"Tables: {', '.join(tables)}."]
    return UsageError(problem, fix=hints[0] if hints else "")


def _say_source(connection: "DuckDBPyConnection", layer: Layer) -> None:
    if layer is not Layer.gold:
        err.print(f"source: {layer.value}, live", style="dim")
        return
    row = connection.execute("select max(built_at) from _build").fetchone()
    built_at = row[0] if row else datetime.now(UTC).replace(tzinfo=None)
    seconds = max(0, int((datetime.now(UTC).replace(tzinfo=None) - built_at).total_seconds()))
    err.print(f"source: gold, as of {built_at:%H:%M:%S} UTC ({_age(seconds)} ago)", style="dim")


def _age(seconds: int) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _interactive(settings: Settings, layer: Layer) -> None:
    """Harlequin when it is installed, else a plain prompt: statements end with a semicolon."""
    import importlib.util
    import subprocess

    if layer is Layer.gold and importlib.util.find_spec("harlequin") is not None:
        from lakehouse.lake.gold.builds import require_gold

        command = [sys.executable, "-m", "harlequin", "--read-only", str(require_gold(settings))]
        raise typer.Exit(subprocess.run(command, check=False).returncode)
    with _connect(settings, layer) as connection:
        _say_source(connection, layer)
        err.print("End a statement with ; and the session with Ctrl-D.", style="dim")
        while (statement := _read_statement()) is not None:
            try:
                _answer(connection, statement, Output.table)
            except UsageError as error:
                err.print(f"error: {error.one_line()}", markup=False, soft_wrap=True)
        out.print("")


def _read_statement() -> str | None:
    lines: list[str] = []
    try:
        while True:
            lines.append(input("sql> " if not lines else "...> "))
            if lines[-1].rstrip().endswith(";"):
                return "\n".join(lines)
            if not "".join(lines).strip():
                lines.clear()
    except EOFError:
        return None
