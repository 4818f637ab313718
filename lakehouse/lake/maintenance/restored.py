"""Archived days brought back, beside the tables that they were deleted from.

Here: which days the archive has, and copying one into a table of its own. Not here: archiving (`retention`).

The live table is left as it is: its positions, its counts and what `verify` proves would otherwise speak of rows that
nobody promised to keep, and the next night would delete them again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.engine.duck import delta_connection
from lakehouse.engine.storage import storage_errors
from lakehouse.errors import LakehouseError, UsageError
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.durable import settled
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

LAYERS = ("bronze", "quarantine")
_IDENTITY = 'topic_id, "partition", "offset"'
_FEW = 10


@dataclass(frozen=True)
class ArchivedDay:
    """One arrival day in the archive: its rows, and whether its copy is there, row for row."""

    layer: str
    day: date
    rows: int
    is_restored: bool


@dataclass(frozen=True)
class Restored:
    """What a restore did; `written` is False when the copy was there already."""

    layer: str
    day: date
    rows: int
    table: str
    written: bool


def archived_days(paths: LakePaths, stream: str, layer: str) -> list[ArchivedDay]:
    """The days of one layer that were archived, oldest first; only file footers and identities are read."""
    table = paths.restored(layer, stream)
    found = []
    with delta_connection(modest=True) as duck:
        for day, files in sorted(_files(paths, stream, layer).items()):
            rows, _ = _count(duck, files)
            found.append(ArchivedDay(layer, day, rows, _is_there(duck, table, day, files)))
    return found


def restore(settings: Settings, stream: str, layer: str, day: date) -> Restored:
    """Copy an archived arrival day to the table `restored/<layer>_<stream>`, in one commit; a second time does nothing.

    Raises:
        UsageError: the archive does not have that day; names those that it has.
        LakehouseError: the archive has a record twice; nothing was written.
        ForeignLakeError: the state folder belongs to another lake.
        DiskFullError, SetupError: when it cannot be written.
    """
    require_lake(settings)
    paths = LakePaths.of(settings)
    known = _files(paths, stream, layer)
    if day not in known:
        days = [str(one) for one in sorted(known)]
        has = f"It has {', '.join(days[:_FEW])}{' …' if len(days) > _FEW else ''}." if days else "It has none."
        raise UsageError(
            f"The archive of {layer}.{stream} has no arrival day {day}.", why=has,
            fix=f"lakehouse retention list {stream}",
        )  # fmt: skip
    table = paths.restored(layer, stream)
    with delta_connection(modest=True) as duck:
        rows, distinct = _count(duck, known[day])
        if rows != distinct:
            raise LakehouseError(
                f"The archive of {layer}.{stream} has {rows - distinct:,} records of {day} more than once.",
                why="Somebody copied files into it: each run archives its own rows.",
                fix=f"Look into {paths.archive(layer, stream)}.",
            )
        if _is_there(duck, table, day, known[day]):
            return Restored(layer, day, rows, table, written=False)
    with storage_errors(), settled(settings, table):
        _write(str(getattr(paths, layer)(stream)), table, day, known[day])
    write_facts(paths, [Fact(stream, layer, "restore", rows=rows, details={"day": str(day), "table": table})])
    return Restored(layer, day, rows, table, written=True)


def _files(paths: LakePaths, stream: str, layer: str) -> dict[date, list[str]]:
    """The archive's files by arrival day. A day that came late was archived by several runs."""
    found: dict[date, list[str]] = {}
    for file in sorted(Path(paths.archive(layer, stream)).glob("run=*/arrival_date=*/*.parquet")):
        found.setdefault(date.fromisoformat(file.parent.name.partition("=")[2]), []).append(str(file))
    return found


def _count(duck: "DuckDBPyConnection", files: list[str]) -> tuple[int, int]:
    """Rows, and different records among them."""
    query = f"select count(*), count(distinct ({_IDENTITY})) from read_parquet(?)"  # noqa: S608 - own names
    row = duck.execute(query, [files]).fetchone() or (0, 0)
    return int(row[0]), int(row[1])


def _is_there(duck: "DuckDBPyConnection", table: str, day: date, files: list[str]) -> bool:
    """Whether the copy has these records and no others."""
    if not table_exists(table):
        return False
    query = (
        f"with archived as (select {_IDENTITY} from read_parquet(?)), "  # noqa: S608 - own names
        f"copied as (select {_IDENTITY} from delta_scan(?) where arrival_date = ?) "
        "select count(*) from ((from archived except all from copied) union all (from copied except all from archived))"
    )
    return bool(duck.execute(query, [files, table, day]).fetchone() == (0,))


def _write(source: str, table: str, day: date, files: list[str]) -> None:
    """Replace the day in the copy, piece by piece, with the columns and types of the table that it came from."""
    import pyarrow as pa
    import pyarrow.dataset as ds
    from deltalake import DeltaTable, write_deltalake

    schema = pa.schema(DeltaTable(source, without_files=True).schema().to_arrow())
    # Spark writes times of 96 bits, without a zone and in UTC.
    options = ds.ParquetReadOptions(coerce_int96_timestamp_unit="us")
    data = ds.dataset(files, format=ds.ParquetFileFormat(read_options=options))

    def pieces() -> Iterator["pa.RecordBatch"]:
        for batch in data.to_batches():
            whole: Any = pa.Table.from_batches([batch]).append_column("arrival_date", pa.array([day] * len(batch)))
            missing = [name for name in schema.names if name not in whole.column_names]
            for name in missing:
                whole = whole.append_column(name, pa.nulls(len(batch), schema.field(name).type))
            yield from whole.select(schema.names).cast(schema).to_batches()

    write_deltalake(
        table,
        pa.RecordBatchReader.from_batches(schema, pieces()),
        mode="overwrite",
        partition_by=["arrival_date"],
        predicate=f"arrival_date = '{day}'" if table_exists(table) else None,
    )
