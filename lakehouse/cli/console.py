"""How commands talk: results on stdout, everything else on stderr, no control codes without a terminal.

Here: consoles, error rendering, JSON output. Not here: any command.
"""

import json
import sys
import time
import traceback
from typing import Any

from rich.console import Console
from rich.table import Table

from lakehouse.errors import LakehouseError

err = Console(stderr=True, highlight=False)
# Into a pipe a table goes at its own width: a line of it stays one line for grep.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 240)


def explain(error: LakehouseError) -> None:
    """Print what happened, why, and the next command."""
    err.print("error:", style="bold red", end=" ")
    err.print(error.problem, markup=False, soft_wrap=True)
    if error.why:
        err.print("  why:", style="yellow", end=" ")
        err.print(error.why, markup=False, soft_wrap=True)
    if error.fix:
        err.print("  fix:", style="green", end=" ")
        err.print(error.fix, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document on stdout; the only thing there."""
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """A table on stdout; plain text when it is no terminal."""
    table = Table(title=title or None, title_justify="left", show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    out.print(table)


def crash_log(error: BaseException) -> str:
    """Write the full trace below the state folder and return its path; '(not written)' when that fails too."""
    from lakehouse.settings import load_settings

    try:
        folder = load_settings().home / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"crash-{time.strftime('%Y%m%dT%H%M%S')}.log"
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except (OSError, LakehouseError):
        return "(not written; run again with --debug)"
    return str(path)
