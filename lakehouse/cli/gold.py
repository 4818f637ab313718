"""`lakehouse gold`: build the star schema and publish it; render its catalogue.

Here: options, progress, the summary. Not here: building (`lake.gold.builds`).
"""

from typing import Any

import typer

from lakehouse.cli.console import err, out, print_json
from lakehouse.errors import EXIT_UNHEALTHY, EXIT_USAGE
from lakehouse.settings import load_settings

app = typer.Typer(invoke_without_command=True, add_completion=False, rich_markup_mode=None)

_SELECT = typer.Option(None, "--select", help="Only these dbt models, at the silver versions that gold shows already.")
_FULL = typer.Option(False, "--full-refresh", help="Compute everything anew, not only the dates that changed.")
_JSON = typer.Option(False, "--json", help="One JSON object on stdout.")


@app.callback()
def gold(
    context: typer.Context,
    select: str | None = _SELECT,
    full_refresh: bool = _FULL,
    as_json: bool = _JSON,
) -> None:
    """Build the star schema from silver, test it, publish it by one rename. Without a sub-command: build.

    Example: lakehouse gold
    """
    if context.invoked_subcommand is None:
        _build(select, full_refresh, as_json)


@app.command()
def build(select: str | None = _SELECT, full_refresh: bool = _FULL, as_json: bool = _JSON) -> None:
    """Build, test and publish. Exit code 10 when a test fails; then readers keep the old gold.

    Example: lakehouse gold build --full-refresh
    """
    _build(select, full_refresh, as_json)


@app.command()
def docs(as_json: bool = _JSON) -> None:
    """Render models, columns, tests and lineage as one page that works without a network.

    Example: lakehouse gold docs
    """
    from lakehouse.lake.gold.catalogue import build_docs

    with err.status("Rendering the catalogue of gold …"):
        page = build_docs(load_settings())
    if as_json:
        print_json({"path": str(page), "bytes": page.stat().st_size})
    else:
        out.print(str(page), markup=False)


def _build(select: str | None, full_refresh: bool, as_json: bool) -> None:
    from lakehouse.lake.gold import builds as lake_gold

    if select is not None and not select.strip():
        err.print("error: --select is empty; name a model, for example sales_daily.", markup=False)
        raise typer.Exit(EXIT_USAGE)
    with err.status("Reading what changed in silver …") as status:
        report = lake_gold.build(
            load_settings(),
            select=select,
            full_refresh=full_refresh,
            on_progress=lambda done, total, node: status.update(f"dbt: {done} of {total}, {node}"),
        )
    if as_json:
        print_json(_as_dict(report))
    else:
        _summarise(report)
    if not report.published:
        raise typer.Exit(EXIT_UNHEALTHY)


def _as_dict(report: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(report), "path": str(report.path), "seconds": round(report.seconds, 3)}


def _summarise(report: Any) -> None:
    if report.mode == "unchanged":
        out.print(f"Gold is up to date: {report.path}", markup=False)
        return
    for sentence in report.failures:
        err.print(f"failed: {sentence}", markup=False, soft_wrap=True)
    for sentence in report.warnings:
        err.print(f"warning: {sentence}", markup=False, soft_wrap=True)
    if not report.published:
        err.print("Not published: readers keep the gold of the last good build.", markup=False)
        return
    sources = ", ".join(
        f"{name} v{version}" + ("" if report.touched[name] is None else f" ({report.touched[name]} dates)")
        for name, version in report.versions.items()
    )
    out.print(
        f"Gold published in {report.seconds:.1f} s ({report.mode}): {report.models} models, "
        f"{f'{len(report.left_alone)} left alone, ' if report.left_alone else ''}"
        f"{report.tests_passed} tests passed, from silver {sources or 'with no tables yet'}.\n{report.path}",
        markup=False,
    )
