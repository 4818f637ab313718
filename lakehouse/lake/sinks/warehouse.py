"""Bulk loads of silver into a warehouse: Parquet files staged for one load, one statement that takes them all.

Here: staging, the two warehouses, the count that every load must pass. Not here: incremental copies (`postgres`).

A warehouse that is told to continue on errors leaves bad rows out without a word. So a load counts: what it took must
be what was staged, or it is undone. Each load has a stage of its own: a stage stays bound to the folder that it was
made for, and a second load through it would read the first one's files.
"""

import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lakehouse.errors import LakehouseError
from lakehouse.lake.paths import LakePaths

if TYPE_CHECKING:
    import pyarrow as pa

Mode = Literal["append", "overwrite"]
_ROWS_PER_FILE = 500_000


class WarehouseLoadError(LakehouseError):
    """A warehouse took other rows than were staged; the load was undone."""

    code = "WAREHOUSE_LOAD"


@dataclass(frozen=True)
class Staged:
    """Parquet files of one load: the folder that holds nothing else, the files, the rows in them, the load's id."""

    folder: Path
    files: tuple[Path, ...]
    rows: int
    load_id: str


class WarehouseSink(Protocol):
    """What a warehouse must be able to do."""

    def load(self, staged: Staged, table: str, mode: Mode) -> int:
        """Take all staged rows into the table, or none; the number of rows.

        Raises:
            WarehouseLoadError: it took other rows than were staged.
        """
        ...


class BulkIngester:
    """Stages rows as Parquet below `staging/<table>/<uuid>` of a lake and loads them.

    Args:
        sink: The warehouse.
        paths: The lake; for Snowflake one whose root its external stage sees.
    """

    def __init__(self, sink: WarehouseSink, paths: LakePaths) -> None:
        self._sink = sink
        self._paths = paths

    def ingest(self, rows: "Iterable[pa.RecordBatch]", schema: "pa.Schema", table: str, mode: Mode = "append") -> int:
        """Load the rows; staging is gone afterwards, whatever happened. Raises as `WarehouseSink.load`."""
        with self._staged(rows, schema, table) as staged:
            return self._sink.load(staged, table, mode)

    @contextmanager
    def _staged(self, rows: "Iterable[pa.RecordBatch]", schema: "pa.Schema", table: str) -> Iterator[Staged]:
        import pyarrow.parquet as pq

        load_id = str(uuid.uuid4())
        folder = self._paths.staging(table) / load_id
        folder.mkdir(parents=True)
        files: list[Path] = []
        count = in_file = 0
        writer: Any = None
        try:
            for batch in rows:
                if writer is None or in_file >= _ROWS_PER_FILE:
                    if writer is not None:
                        writer.close()
                    files.append(folder / f"part-{len(files):05d}.parquet")
                    writer, in_file = pq.ParquetWriter(files[-1], schema, compression="zstd"), 0
                writer.write_batch(batch)
                count += batch.num_rows
                in_file += batch.num_rows
            if writer is not None:
                writer.close()
                writer = None
            yield Staged(folder, tuple(files), count, load_id)
        finally:
            if writer is not None:
                writer.close()
            shutil.rmtree(folder, ignore_errors=True)


class DuckDbSink:
    """A DuckDB file as warehouse.

    Args:
        database: The file; made when it is not there.
    """

    def __init__(self, database: Path) -> None:
        self._database = database

    def load(self, staged: Staged, table: str, mode: Mode) -> int:
        """One transaction; the table is made of the first load's columns. Raises as `WarehouseSink.load`."""
        import duckdb

        if not staged.files:
            return 0
        files = [str(path) for path in staged.files]
        name = '"' + table.replace('"', '""') + '"'
        with duckdb.connect(str(self._database)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.begin()
            try:
                # The name is quoted; the files are parameters.
                create = f"create table if not exists {name} as select * from read_parquet(?) limit 0"  # noqa: S608
                connection.execute(create, [files])
                if mode == "overwrite":
                    connection.execute(f"delete from {name}")  # noqa: S608
                insert = f"insert into {name} by name select * from read_parquet(?)"  # noqa: S608
                taken = connection.execute(insert, [files]).fetchone()
                require_all(staged, int(taken[0]) if taken else 0, table)
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
        return staged.rows


class SnowflakeSink:
    """Snowflake, by the SQL that its own documentation names; the caller brings the connection's cursor.

    Args:
        cursor: A DB-API cursor.
        base_url: Address of the lake's root as Snowflake sees it, such as s3://bucket/prefix.
        storage_integration: The integration that may read it; no key is written into a statement.
    """

    def __init__(self, cursor: Any, base_url: str, storage_integration: str) -> None:
        self._cursor = cursor
        self._base_url = base_url.rstrip("/")
        self._integration = storage_integration

    def load(self, staged: Staged, table: str, mode: Mode) -> int:
        """A stage for this load, one transaction, one COPY, its counts compared. Raises as `WarehouseSink.load`."""
        stage = f"{table}_stage_{staged.load_id.replace('-', '')}"
        url = f"{self._base_url}/staging/{table}/{staged.load_id}"
        self._cursor.execute(
            f"CREATE STAGE IF NOT EXISTS {stage} URL = '{url}' STORAGE_INTEGRATION = {self._integration}"
        )
        try:
            self._cursor.execute("BEGIN")
            try:
                if mode == "overwrite":
                    # TRUNCATE would commit by itself: a load that fails afterwards would leave an empty table.
                    self._cursor.execute(f"DELETE FROM {table}")  # noqa: S608
                self._cursor.execute(
                    f"COPY INTO {table} FROM @{stage} FILE_FORMAT = (TYPE = 'PARQUET') "
                    "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE ON_ERROR = 'CONTINUE'"
                )
                taken, first_error = self._counts()
                require_all(staged, taken, table, first_error)
            except BaseException:
                self._cursor.execute("ROLLBACK")
                raise
            self._cursor.execute("COMMIT")
        finally:
            self._cursor.execute(f"DROP STAGE IF EXISTS {stage}")
        return staged.rows

    def _counts(self) -> tuple[int, str]:
        """Rows that COPY took over all files, and the first error that it names."""
        names = [column[0].lower() for column in self._cursor.description or []]
        found = [dict(zip(names, row, strict=True)) for row in self._cursor.fetchall()]
        # Without files to take, COPY answers with one row of one text.
        taken = sum(int(row.get("rows_loaded") or 0) for row in found)
        errors = [str(row["first_error"]) for row in found if row.get("first_error")]
        return taken, errors[0] if errors else ""


def require_all(staged: Staged, taken: int, table: str, first_error: str = "") -> None:
    """Compare what was taken with what was staged.

    Raises:
        WarehouseLoadError: they differ.
    """
    if taken != staged.rows:
        raise WarehouseLoadError(
            f"{table}: {taken:,} of {staged.rows:,} staged rows were taken; the load was undone.",
            why=first_error or "The warehouse named no error.",
            fix="Compare the table's columns with the stream's; then run the same command again.",
        )
