"""`lakehouse status`: what runs, where, since when."""

import typer

from lakehouse.cli.console import err, print_json

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def status(as_json: bool = typer.Option(False, "--json", help="One JSON array on stdout.")) -> None:
    """Show the embedded services out of the process table; `lakehouse health` asks them.

    Example: lakehouse status --json
    """
    from dataclasses import asdict

    from lakehouse.cli.up import show, without_tokens
    from lakehouse.engine.embedded import stack
    from lakehouse.settings import load_settings

    entries = stack.status(load_settings())
    if as_json:
        print_json([asdict(entry) for entry in without_tokens(entries)])
    elif entries:
        show(entries)
    else:
        err.print("nothing is running; start it: lakehouse up")
