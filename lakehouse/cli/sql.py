"""`lakehouse sql`: ask gold, or the lake's Delta tables, in SQL.

Here: where the query comes from, how the answer looks. Not here: what gold holds (`dbt_project/`).
"""

import csv
import difflib
import json
import math
import sys
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.errors import UsageError
from lakehouse.settings import Settings, load_settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

app = typer.Typer(add_completion=False, rich_markup_mode=None)
TABLE_ROWS = 1000
# Where a layer's tables lie, when not in the folder of its name.
_FOLDERS = {"batch": "batch-views"}


class Output(StrEnum):
    """Form of the answer."""

    table = "table"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"


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
    import duckdb

    try:
        result = connection.execute(text)
        columns = [column[0] for column in result.description or []]
        rows = result.fetchmany(TABLE_ROWS + 1) if output is Output.table else result.fetchall()
    except duckdb.Error as error:
        raise _explained(connection, error) from error
    if output is Output.table:
        _print_rows(columns, rows[:TABLE_ROWS])
        if len(rows) > TABLE_ROWS:
            err.print(f"Only the first {TABLE_ROWS:,} rows; --output csv gives all.", markup=False)
    elif output is Output.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    else:
        records = [{name: _plain(cell) for name, cell in zip(columns, row, strict=True)} for row in rows]
        if output is Output.json:
            print_json(records)
        else:
            for record in records:
                sys.stdout.write(json.dumps(record, default=str, ensure_ascii=False) + "\n")


def _print_rows(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    """Values are never broken, only headings are; without a terminal there is no width to keep to."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, pad_edge=False)
    for position, name in enumerate(columns):
        cells = [row[position] for row in rows]
        is_number = bool(cells) and all(
            isinstance(cell, (int, float, Decimal)) and not isinstance(cell, bool) for cell in cells if cell is not None
        )
        widest = max((len(_text(cell)) for cell in cells), default=0)
        table.add_column(name, justify="right" if is_number else "left", min_width=min(widest, 40), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(cell)) for cell in row))
    console = out if out.is_terminal else Console(width=100_000, highlight=False)
    console.print(table)


def _heading(name: str, width: int) -> str:
    """Break a column's name at its underscores where it is wider than the values."""
    if not out.is_terminal:
        return name
    lines = [""]
    for part in name.replace("_", "_ ").split(" "):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append(part)
        else:
            lines[-1] += part
    return "\n".join(lines)


def _text(cell: Any) -> str:
    return "" if cell is None else str(_plain(cell)) if isinstance(cell, (bytes, bytearray)) else str(cell)


def _plain(cell: Any) -> Any:
    """Amounts as JSON numbers; what is none, like NaN, as null; bytes as text where they are text."""
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    if isinstance(cell, Decimal):
        return float(cell)
    if isinstance(cell, (bytes, bytearray)):
        return cell.decode("utf-8", errors="backslashreplace")
    return cell


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
