"""Opening DuckDB: one way for everything that reads tables without a JVM.

Here: connections, and values as its SQL text. Not here: installing its extensions (`engine.embedded.duck`), queries.
"""

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# What a whole-table count may take beside a running drain.
_MODEST: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "1GB", "threads": 2}


_TYPES = {
    "string": "varchar",
    "long": "bigint",
    "timestamp": "timestamptz",
    "binary": "blob",
    "array<bigint>": "bigint[]",
}


def duck_type(kind: str) -> str:
    """What DuckDB calls a type of a contract or of Spark."""
    return _TYPES.get(kind, kind)


def duck_connection(
    database: Path | None = None, *, read_only: bool = False, modest: bool = False
) -> "DuckDBPyConnection":
    """A connection in UTC.

    Args:
        database: The file; None for one in memory.
        read_only: Several processes may hold the file open so.
        modest: Leave most of the machine to others.
    """
    import duckdb

    name = ":memory:" if database is None else str(database)
    connection = duckdb.connect(name, read_only=read_only, config=_MODEST if modest else {})
    connection.execute("set TimeZone = 'UTC'")
    return connection


def delta_connection(*, modest: bool = False) -> "DuckDBPyConnection":
    """A connection in memory that can read Delta tables. The extension comes from the installed wheel."""
    import duckdb

    connection = duck_connection(modest=modest)
    try:
        connection.load_extension("delta")
    except duckdb.IOException:
        import duckdb_extensions

        duckdb_extensions.import_extension("delta")
        connection.load_extension("delta")
    return connection


def lasting_delta_connection() -> "DuckDBPyConnection":
    """A modest connection that can read Delta tables, to a database in memory that lasts as long as the process.

    Opening one costs 0.3 s of processor, for which a micro-batch has no time. All of them share the database: make
    nothing in it.
    """
    connection = _lasting().cursor()
    connection.execute("set TimeZone = 'UTC'")
    return connection


@cache
def _lasting() -> "DuckDBPyConnection":
    connection = delta_connection(modest=True)
    # What was read once is not read again soon, and would be kept up to the limit of memory.
    connection.execute("set enable_external_file_cache = false")
    folder = Path(tempfile.gettempdir()) / f"lakehouse-duckdb-{os.getpid()}"
    connection.execute(f"set temp_directory = {literal(str(folder))}")
    return connection


def literal(value: str | int | None) -> str:
    """A value as SQL text. DuckDB's own parameters import pandas, which costs more than the whole statement."""
    if value is None:
        return "null"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
