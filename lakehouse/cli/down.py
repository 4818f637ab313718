"""`lakehouse down`: stop what `up` started."""

import typer

from lakehouse.cli.console import err

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def down() -> None:
    """Stop every embedded service and leave no process. The lake and its logs stay.

    Example: lakehouse down
    """
    from lakehouse.engine.embedded import stack
    from lakehouse.settings import load_settings

    with err.status("stopping … (the first time Java also writes its class archive: some seconds more)"):
        stopped = stack.stop(load_settings())
    err.print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")
