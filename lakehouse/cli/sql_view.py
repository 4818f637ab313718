"""How an answer of `lakehouse sql` looks: a table, CSV, JSON, or a JSON object a line.

Here: the forms. Not here: asking (`cli.sql`).
"""

import csv
import json
import math
import sys
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from lakehouse.cli.console import err, out

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE_ROWS = 1000


class Output(StrEnum):
    """Form of the answer."""

    table = "table"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"


def show(result: "DuckDBPyConnection", output: Output) -> None:
    """Print the rows that a statement gave; a table has the first of them only."""
    columns = [column[0] for column in result.description or []]
    if output is Output.table:
        rows = result.fetchmany(TABLE_ROWS + 1)
        _print_table(columns, rows[:TABLE_ROWS])
        if len(rows) > TABLE_ROWS:
            err.print(f"Only the first {TABLE_ROWS:,} rows; --output csv gives all.", markup=False)
    elif output is Output.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(result.fetchall())
    else:
        records = [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
        if output is Output.json:
            objects = [_object(record, begin="{\n    ", between=",\n    ", end="\n  }") for record in records]
            sys.stdout.write("[\n  " + ",\n  ".join(objects) + "\n]\n" if objects else "[]\n")
        else:
            sys.stdout.writelines(f"{_object(record)}\n" for record in records)


def _print_table(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
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


def _text(cell: Any) -> str:
    if isinstance(cell, (bytes, bytearray)):
        return _decoded(cell)
    return "" if cell is None else str(cell)


def _json(value: Any) -> str:
    """Numbers with every digit that they have; what is none, like NaN, as null; bytes as text where they are text.

    Python's own writer takes no decimal but as a float, which has 17 digits at most.
    """
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_json, value))}]"
    if isinstance(value, (bytes, bytearray)):
        value = _decoded(value)
    return json.dumps(value, default=str, ensure_ascii=False)


def _object(values: dict[Any, Any], *, begin: str = "{", between: str = ", ", end: str = "}") -> str:
    pairs = (f"{json.dumps(str(name), ensure_ascii=False)}: {_json(value)}" for name, value in values.items())
    return f"{begin}{between.join(pairs)}{end}"


def _decoded(cell: bytes | bytearray) -> str:
    return cell.decode("utf-8", errors="backslashreplace")
