"""Real-time views in a DuckDB file: nothing to install, nothing to start.

Here: the store. Not here: the interface (`lake.speed.store`). A DuckDB file has one writer or many readers at a time:
every call opens it for a moment and waits for its turn.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from lakehouse.engine.duck import duck_connection
from lakehouse.errors import ViewStoreError
from lakehouse.lake.speed.store import View, ViewPosition

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_POSITIONS = "create table if not exists _positions (name varchar primary key, table_id varchar, step bigint)"
_PATIENCE_SECONDS = 20


class _BusyError(Exception):
    """Another process has the file open just now."""


class DuckDBStore:
    """Views as tables of one file.

    Args:
        path: The file; made at the first write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def position(self, view: View) -> ViewPosition | None:
        """See `ViewStore`."""
        if not self._path.is_file():
            return None
        with self._opened(read_only=True) as duck:
            return _position(duck, view)

    def put(
        self, view: View, rows: "pa.Table", *, before: ViewPosition | None, after: ViewPosition, replace: bool
    ) -> bool:
        """See `ViewStore`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._opened() as duck:
            duck.execute("begin")
            duck.execute(_POSITIONS)
            if _position(duck, view) != before:
                duck.execute("rollback")
                return False
            if replace:
                duck.execute(f"drop table if exists {view.name}")
            columns = ", ".join(f"{name} {kind}" for name, kind in view.columns.items())
            duck.execute(f"create table if not exists {view.name} ({columns}, primary key ({', '.join(view.keys)}))")
            if rows.num_rows:
                duck.register("_rows", rows)
                duck.execute(f"insert or replace into {view.name} select {', '.join(view.columns)} from _rows")  # noqa: S608 - our own names
            duck.execute("insert or replace into _positions values (?, ?, ?)", [view.name, after.table_id, after.step])
            duck.execute("commit")
            return True

    def read(self, view: View, since: datetime | None = None) -> "pa.Table":
        """See `ViewStore`."""
        names = ", ".join(view.columns)
        if self.position(view) is None:
            return _empty(view)
        with self._opened(read_only=True) as duck:
            query = f"select {names} from {view.name}"  # noqa: S608 - our own names
            if since is not None:
                query += f" where {view.keys[0]} >= '{since.astimezone(UTC).isoformat()}'::timestamptz"
            return duck.execute(query).to_arrow_table()

    def prune(self, view: View, before: datetime) -> None:
        """See `ViewStore`."""
        if self.position(view) is None:
            return
        with self._opened() as duck:
            moment = before.astimezone(UTC).isoformat()
            duck.execute(f"delete from {view.name} where {view.keys[0]} < '{moment}'::timestamptz")  # noqa: S608 - our own names

    @contextmanager
    def _opened(self, *, read_only: bool = False) -> "Iterator[DuckDBPyConnection]":
        try:
            connection = self._connect(read_only=read_only)
        except _BusyError as error:
            raise ViewStoreError(
                f"{self._path} is held by another process.",
                why=f"{error} (waited {_PATIENCE_SECONDS} s)",
                fix="Close the program that has the file open, then run the same command again.",
            ) from error
        try:
            yield connection
        finally:
            connection.close()

    @retry(
        retry=retry_if_exception_type(_BusyError),
        wait=wait_random_exponential(multiplier=0.02, max=0.5),
        stop=stop_after_delay(_PATIENCE_SECONDS),
        reraise=True,
    )
    def _connect(self, *, read_only: bool) -> "DuckDBPyConnection":
        import duckdb

        try:
            return duck_connection(self._path, read_only=read_only)
        except duckdb.Error as error:
            # Held by another process, or by this one in the other way.
            if "lock" in str(error) or "different configuration" in str(error):
                raise _BusyError(str(error).splitlines()[0]) from error
            raise


def _position(duck: "DuckDBPyConnection", view: View) -> ViewPosition | None:
    row = duck.execute("select 1 from duckdb_tables() where table_name = '_positions'").fetchone()
    if row is None:
        return None
    row = duck.execute("select table_id, step from _positions where name = ?", [view.name]).fetchone()
    return None if row is None else ViewPosition(row[0], row[1])


def _empty(view: View) -> "pa.Table":
    columns = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in view.columns.items())
    with duck_connection() as duck:
        return duck.execute(f"select {columns} where false").to_arrow_table()
