"""Deliveries of batch pipelines: a page to look at, files that BI tools read. Each window has files of its own.

Here: functions that a `deliver` step names. Not here: gold's own exports (`lakehouse sql --output`).
"""

import html
from typing import Any

from lakehouse.errors import UsageError
from lakehouse.lake.batch.files import replace, window_file
from lakehouse.lake.batch.run import StepContext

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} {key}</title>
<style>body{{font:15px/1.5 system-ui;margin:2rem}}table{{border-collapse:collapse}}
th,td{{padding:.25rem .75rem;border-bottom:1px solid #ddd;text-align:left}}</style></head>
<body><h1>{title}</h1><p>{key} (UTC) · {rows} rows · pipeline {pipeline}</p>
<table><thead><tr>{head}</tr></thead><tbody>
{body}
</tbody></table></body></html>
"""


def report(context: StepContext) -> dict[str, Any]:
    """Each input as a table in one page. Options: `title`, `order_by` (a column, largest first), `limit` (1000)."""
    options = context.options
    name = context.options.get("input") or _only_input(context)
    rows = context.read(name)
    if "order_by" in options:
        from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

        rows = rows.orderBy(F.col(str(options["order_by"])).desc(), *rows.columns)
    total = rows.count()
    shown = rows.limit(int(options.get("limit", 1000))).collect()
    page = _PAGE.format(
        title=html.escape(str(options.get("title", context.pipeline.name))),
        key=html.escape(context.window.key),
        rows=total,
        pipeline=html.escape(context.pipeline.name),
        head="".join(f"<th>{html.escape(column)}</th>" for column in rows.columns),
        body="\n".join(
            "<tr>" + "".join(f"<td>{html.escape(_cell(cell))}</td>" for cell in row) + "</tr>" for row in shown
        ),
    )
    path = window_file(context, "reports", "html")
    replace(path, page.encode())
    return {"path": str(path), "rows": total}


def export(context: StepContext) -> dict[str, Any]:
    """The input as files. Option `formats`: csv, parquet.

    Raises:
        UsageError: for another format.
    """
    table = context.read(context.options.get("input") or _only_input(context)).toArrow()
    paths = {}
    for kind in context.options.get("formats", ["csv"]):
        path = window_file(context, "exports", kind)
        replace(path, _encoded(table, kind))
        paths[kind] = str(path)
    return {"rows": table.num_rows, "files": paths}


def _encoded(table: Any, kind: str) -> bytes:
    import io

    buffer = io.BytesIO()
    if kind == "csv":
        from pyarrow import csv

        csv.write_csv(table, buffer)
    elif kind == "parquet":
        from pyarrow import parquet

        parquet.write_table(table, buffer)
    else:
        raise UsageError(f"{kind!r} is no format of an export.", fix="Use csv or parquet.")
    return buffer.getvalue()


def _only_input(context: StepContext) -> str:
    return context.inputs[0]


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
