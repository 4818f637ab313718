"""`lakehouse doctor`: why something will not start, with the fix."""

from typing import TYPE_CHECKING

import typer

from lakehouse.cli.console import out, print_json
from lakehouse.errors import EXIT_UNHEALTHY

if TYPE_CHECKING:
    from lakehouse.engine.embedded.doctor import Check

app = typer.Typer(add_completion=False, rich_markup_mode=None)

MARKS = {"ok": "[green]✓[/green]", "warn": "[yellow]![/yellow]", "fail": "[red]✗[/red]"}


@app.command()
def doctor(as_json: bool = typer.Option(False, "--json", help="One JSON object on stdout.")) -> None:
    """Check Python, packages, Java, jars, DuckDB, folders, disk, memory, ports and clock.

    Exit code 10 when something fails; a warning works, but not as configured.

    Example: lakehouse doctor --json
    """
    from dataclasses import asdict

    from lakehouse.engine.embedded.doctor import FAIL, examine
    from lakehouse.settings import load_settings

    checks = examine(load_settings())
    if as_json:
        print_json({"checks": [asdict(check) for check in checks]})
    else:
        show(checks)
    if any(check.status == FAIL for check in checks):
        raise typer.Exit(EXIT_UNHEALTHY)


def show(checks: "list[Check]") -> None:
    """One line per check, and its fix below."""
    from rich.markup import escape

    width = max(len(check.name) for check in checks)
    for check in checks:
        out.print(f"{MARKS[check.status]} {escape(check.name):<{width}}  {escape(check.detail)}")
        if check.status != "ok" and check.fix:
            out.print(f"  {'':<{width}}  fix: {escape(check.fix)}")
