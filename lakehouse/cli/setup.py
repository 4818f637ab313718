"""`lakehouse setup`: fetch and prepare everything once, so that nothing is fetched later."""

import time
from functools import partial
from typing import TYPE_CHECKING

import typer

from lakehouse.cli.console import err

if TYPE_CHECKING:
    from lakehouse.engine.embedded.preparation import Report
    from lakehouse.settings import Settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def setup() -> None:
    """Fetch the jars, check Java, install DuckDB's extensions, parse the dbt project.

    What is done already is skipped; the second call takes a second.

    Example: lakehouse setup
    """
    from lakehouse.cli.up import ProgressLines
    from lakehouse.settings import load_settings

    began = time.monotonic()
    with ProgressLines() as progress:
        done = prepare(load_settings(), progress)
    if done:
        err.print(f"✓ set up  {time.monotonic() - began:.1f} s")
    else:
        err.print("already set up")


def prepare(settings: "Settings", report: "Report") -> int:
    """Do what is missing; return how many steps had work.

    Raises:
        SetupError: a step failed; the message says what to do.
    """
    from lakehouse.engine.embedded import compiling, duck
    from lakehouse.engine.embedded.java import find_java
    from lakehouse.engine.embedded.manifest import build_manifest
    from lakehouse.engine.embedded.preparation import Progress, check_folder, fetch_jars
    from lakehouse.engine.embedded.spark import spark_jars

    check_folder(settings.home)
    java = find_java(settings)
    count = int(fetch_jars(settings, report) > 0)
    for name, step in (
        ("Java for Spark", partial(compiling.build, settings.cache_dir, java, spark_jars())),
        ("DuckDB extensions", duck.install),
        ("dbt manifest", partial(build_manifest, settings)),
    ):
        began = time.monotonic()
        report(Progress(name, "working"))
        if step():
            report(Progress(name, "done", f"{time.monotonic() - began:.1f} s"))
            count += 1
    return count
