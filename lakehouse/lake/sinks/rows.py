"""Rows of silver for a copy of it, as the CSV that PostgreSQL's COPY reads.

Here: reading with DuckDB at one version, writing text. Not here: which rows (`changes`), where they go (`postgres`).
"""

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from lakehouse.lake.sinks.changes import Changes

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_PER_CHUNK = 20_000


def silver_as_csv(path: str, wanted: Changes, columns: dict[str, str]) -> Iterator[tuple[int, bytes]]:
    """The wanted rows in chunks: how many, and their text.

    Args:
        path: The silver table.
        wanted: Which rows, at which version.
        columns: Names and PostgreSQL types, in the order to write; what silver does not have yet is null.

    Yields:
        A number of rows and as many lines of CSV: the columns, then the batch_id.
    """
    from lakehouse.engine.duck import delta_connection

    with delta_connection() as duck:
        # The queries are made of our path and the contract's checked names.
        source = f"delta_scan('{path.replace(chr(39), chr(39) * 2)}', version => {wanted.upto.version})"
        there = {row[0] for row in duck.execute(f"describe select * from {source}").fetchall()}  # noqa: S608
        selected = ", ".join(_expression(name, kind, there) for name, kind in columns.items())
        query = f"select {selected}, ? as batch_id from {source} where {wanted.condition}"  # noqa: S608
        for chunk in duck.execute(query, [wanted.batch_id]).fetch_record_batch(_ROWS_PER_CHUNK):
            yield chunk.num_rows, _csv(chunk)


def _expression(name: str, kind: str, there: set[str]) -> str:
    """A column of silver; PostgreSQL's texts cannot hold U+0000, which JSON can."""
    if name not in there:
        return f'null as "{name}"'
    if kind.endswith("[]"):
        numbers = f"""list_transform("{name}", lambda n: coalesce(n::varchar, 'NULL'))"""
        return f"""'{{' || array_to_string({numbers}, ',') || '}}' as "{name}\""""
    return f"""replace("{name}", chr(0), '\ufffd') as "{name}\"""" if kind == "text" else f'"{name}"'


def _csv(rows: "pa.RecordBatch") -> bytes:
    """As COPY reads it: nothing for null, quotes around every text."""
    from pyarrow import csv

    buffer = BytesIO()
    csv.write_csv(rows, buffer, csv.WriteOptions(include_header=False, quoting_style="needed"))
    return buffer.getvalue()
