"""Between silver and the marts, both ways: where a silver row counts, and which silver rows are behind a mart's row.

Here: the groups that the contract reconciles (`reconcile`), looked up in the silver version that gold was built from.
Not here: whether the totals are right (`lake.proofs.gold`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Reconciliation
from lakehouse.engine.duck import duck_connection
from lakehouse.errors import GoldMissingError, UsageError, nearest
from lakehouse.lake.gold.builds import gold_path, last_build, require_gold
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.traces.answer import Cell, CellTrace, GoldPart, NotFoundError, SilverRow, shown
from lakehouse.lake.traces.versions import key_is
from lakehouse.quality.rules import date_list, quote
from lakehouse.settings import Settings
from lakehouse.transforms.events import current_rows

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import DataFrame, SparkSession

# More rows of a mart than this are not looked up one by one.
_MOST_CELLS = 200


def marts_of(
    spark: "SparkSession",
    contract: StreamContract,
    settings: Settings,
    key: Sequence[str],
    held: SilverRow,
    *,
    show_pii: bool,
) -> GoldPart:
    """The rows of the marts in which a silver row counts."""
    version = _built_from(contract, settings)
    if version is None:
        return GoldPart(None, False, "gold was not built from this stream yet")
    row, expressions = held.row, [sql for wanted in contract.reconcile for sql in (*wanted.by.values(), wanted.where)]
    found = (
        _silver(spark, contract, settings, version)
        .where(f"event_date = DATE'{row['event_date']}' AND {key_is(contract, key)}")
        .where(
            f"_partition = {row['_partition']} AND _offset = {row['_offset']} AND _topic_id = {quote(row['_topic_id'])}"
        )
        .selectExpr("event_date", *(f"({sql}) AS _{number}" for number, sql in enumerate(expressions)))
        .collect()
    )
    if not found:
        return GoldPart(version, False, f"gold holds silver version {version}, which does not have this row")
    values = iter(list(found[0])[1:])
    cells = []
    with _gold(settings) as gold:
        for wanted in contract.reconcile:
            by = {name: next(values) for name in wanted.by}
            if next(values):
                cells.append(_cell(gold, contract, wanted, by, key, show_pii=show_pii))
    return GoldPart(version, True, "" if cells else "the contract reconciles no mart with this row", cells)


def rows_behind(
    spark: "SparkSession",
    contract: StreamContract,
    settings: Settings,
    *,
    table: str,
    where: str,
    limit: int,
    show_pii: bool,
) -> CellTrace:
    """The silver rows behind the rows of a mart that meet `where`.

    Raises:
        GoldMissingError: gold was not built from this stream.
        UsageError: the table is not one that the contract reconciles, `where` is no condition on it, or too many rows
            meet it.
        NotFoundError: no row meets it.
    """
    wanted = _reconciled(contract, table)
    version = _built_from(contract, settings)
    if version is None:
        raise GoldMissingError(f"Gold was not built from stream {contract.name} yet.", fix="lakehouse gold build")
    with _gold(settings) as gold:
        has_key = set(contract.key) <= _columns(gold, table)
        names = list(contract.key) if has_key else list(wanted.by)
        cells, totals = _asked(gold, wanted, names, where)
    expressions = {name: f"`{name}`" for name in names} if has_key else wanted.by
    rows = _silver(spark, contract, settings, version).where(wanted.where).where(_any_of(expressions, cells))
    counted = rows.selectExpr(
        "count(*) AS _rows", *(f"{sql} AS `_{number}`" for number, sql in enumerate(wanted.totals.values()))
    ).collect()[0]
    first = rows.orderBy("_topic_id", "_partition", "_offset").limit(limit)
    keys = (f"cast(`{name}` AS string) AS `{name}`" for name in contract.key)
    offsets = first.selectExpr("_topic_id", "_partition", "_offset", "_batch", "event_date", *keys).collect()
    return CellTrace(
        stream=contract.name,
        table=table,
        silver_version=version,
        cells=[shown(contract, cell, show_pii=show_pii) for cell in cells],
        count=counted["_rows"],
        offsets=[
            {name.removeprefix("_"): value for name, value in shown(contract, row.asDict(), show_pii=show_pii).items()}
            for row in offsets
        ],
        totals={
            name: {"gold": totals[name], "silver": counted[f"_{number}"]} for number, name in enumerate(wanted.totals)
        },
    )


def _built_from(contract: StreamContract, settings: Settings) -> int | None:
    if not gold_path(settings).is_file():
        return None
    build = last_build(settings)
    return None if build is None else build.versions.get(contract.name)


def _silver(spark: "SparkSession", contract: StreamContract, settings: Settings, version: int) -> "DataFrame":
    path = LakePaths.of(settings).silver(contract.name)
    return current_rows(spark.read.format("delta").option("versionAsOf", str(version)).load(path), contract)


@contextmanager
def _gold(settings: Settings) -> "Iterator[duckdb.DuckDBPyConnection]":
    with duck_connection(require_gold(settings), read_only=True) as connection:
        yield connection


def _cell(
    gold: "duckdb.DuckDBPyConnection",
    contract: StreamContract,
    wanted: Reconciliation,
    by: dict[str, Any],
    key: Sequence[str],
    *,
    show_pii: bool,
) -> Cell:
    """One mart's group, and the record's own row where the mart has one row per key."""
    totals = ", ".join(f"sum({name}) AS {name}" for name in wanted.totals)
    group = " AND ".join(f"{name} IS NOT DISTINCT FROM ?" for name in by) or "true"
    held = _dicts(gold.execute(f"SELECT {totals} FROM {wanted.table} WHERE {group}", list(by.values())))  # noqa: S608 - names of the contract
    row = None
    if set(contract.key) <= _columns(gold, wanted.table):
        same = " AND ".join(f"cast({name} AS varchar) = ?" for name in contract.key)
        own = _dicts(
            gold.execute(f"SELECT * FROM {wanted.table} WHERE {group} AND {same}", [*by.values(), *key])  # noqa: S608 - names of the contract
        )
        row = shown(contract, own[0], show_pii=show_pii) if own else None
    return Cell(wanted.table, shown(contract, by, show_pii=show_pii), held[0], row)


def _asked(
    gold: "duckdb.DuckDBPyConnection", wanted: Reconciliation, names: list[str], where: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of the mart that meet the user's condition, told apart by `names`, and their totals."""
    import duckdb

    columns = ", ".join(names) or "1"
    totals = ", ".join(f"sum({name}) AS {name}" for name in wanted.totals)
    # The user's own condition on a file that is open for reading only.
    source = f"FROM {wanted.table} WHERE ({where}\n)"
    try:
        cells = _dicts(gold.execute(f"SELECT DISTINCT {columns} {source} ORDER BY ALL LIMIT {_MOST_CELLS + 1}"))
        sums = _dicts(gold.execute(f"SELECT {totals} {source}"))
    except duckdb.Error as error:
        raise UsageError(
            f"--where {where!r} is no condition on {wanted.table}: {str(error).splitlines()[0]}",
            fix=f"Its columns: {', '.join(sorted(_columns(gold, wanted.table)))}.",
        ) from error
    if not cells:
        raise NotFoundError(f"No row of {wanted.table} meets {where}.")
    if len(cells) > _MOST_CELLS:
        raise UsageError(
            f"More than {_MOST_CELLS} rows of {wanted.table} meet {where}.", fix="Make the condition narrower."
        )
    return cells, sums[0]


def _any_of(expressions: dict[str, str], cells: list[dict[str, Any]]) -> str:
    """SQL over silver: the row belongs to one of these rows of the mart."""
    one_of = (
        " AND ".join(f"({sql}) <=> {literal(cell[name])}" for name, sql in expressions.items()) or "true"
        for cell in cells
    )
    condition = "(" + " OR ".join(f"({part})" for part in one_of) + ")"
    day = next((name for name, sql in expressions.items() if sql == "event_date"), None)
    days = {cell[day] for cell in cells} if day else set()
    # Said apart, so that only those partitions are read.
    return f"event_date IN ({date_list(sorted(days))}) AND {condition}" if days and None not in days else condition


def literal(value: Any) -> str:
    """A value of the mart as a Spark SQL literal.

    Raises:
        UsageError: for a type that no group of a mart has.
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, float):
        return f"double('{value!r}')"
    if isinstance(value, datetime):
        return f"TIMESTAMP'{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE'{value.isoformat()}'"
    if isinstance(value, str):
        return quote(value)
    raise UsageError(f"A group of type {type(value).__name__} cannot be traced.")


def _reconciled(contract: StreamContract, table: str) -> Reconciliation:
    tables = {wanted.table: wanted for wanted in contract.reconcile}
    if table in tables:
        return tables[table]
    hint = nearest(table, tables, f"Those are: {', '.join(tables) or 'none'}.")
    raise UsageError(f"{table!r} is no mart that stream {contract.name} reconciles.", fix=hint)


def _columns(gold: "duckdb.DuckDBPyConnection", table: str) -> set[str]:
    return {str(row[0]) for row in gold.execute(f"DESCRIBE {table}").fetchall()}


def _dicts(result: "duckdb.DuckDBPyConnection") -> list[dict[str, Any]]:
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
