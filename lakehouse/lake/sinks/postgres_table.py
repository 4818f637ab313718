"""The tables of a sink in PostgreSQL: the target, its staging table, the position; and the statements on them.

Here: DDL and SQL. Not here: what is loaded (`changes`), in which order and transaction (`postgres`).
"""

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from lakehouse.contracts.model import StreamContract
from lakehouse.errors import SchemaIncompatibleError, UsageError
from lakehouse.lake.schema.tables import silver_types

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed

POSITIONS = "lakehouse_loads"
_TYPES = {
    "string": "text",
    "int": "integer",
    "bigint": "bigint",
    "double": "double precision",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp with time zone",
    "array<bigint>": "bigint[]",
}
DELETED = "_deleted"
_NAME = re.compile(r"^(?:([a-z_][a-z0-9_]{0,50})\.)?([a-z_][a-z0-9_]{0,50})$")
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")


class Target(NamedTuple):
    """A target table: its schema and name, its columns with PostgreSQL types, the columns of its primary key.

    With `deletes`, silver keeps rows that only remember a deleted key (mode cdc); the target has no such rows.
    """

    schema: str
    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    deletes: bool = False

    @property
    def label(self) -> str:
        """`schema.name`, which also names its position."""
        return f"{self.schema}.{self.name}"

    @property
    def staging(self) -> str:
        """Where rows wait for their merge."""
        return f"staging_{self.name}"

    @property
    def staged(self) -> dict[str, str]:
        """Columns of the staging table, before the batch_id."""
        return {**self.columns, DELETED: "boolean"} if self.deletes else self.columns


def target_of(contract: StreamContract, table: str | None) -> Target:
    """The target for a stream: columns and identity of silver, in `table` or one named as the stream.

    Raises:
        UsageError: when the name is no plain `table` or `schema.table`.
    """
    match = _NAME.match(table or contract.name)
    if match is None:
        raise UsageError(f"{table!r} is no name of a table.", fix="Write table or schema.table, in lower case.")
    columns = {name: _postgres_type(kind) for name, kind in silver_types(contract).items() if name != DELETED}
    return Target(match[1] or "public", match[2], columns, tuple(contract.identity), contract.is_cdc)


def _postgres_type(kind: str) -> str:
    return _TYPES[kind] if kind in _TYPES else kind.replace("decimal", "numeric")


def ensure_tables(connection: "Connection[Any]", target: Target) -> None:
    """Create what is missing, add new columns, widen changed ones. Call while holding the target's lock.

    Raises:
        SchemaIncompatibleError: when a column has a type that cannot be widened to the wanted one.
    """
    from psycopg.sql import SQL, Identifier

    connection.execute(SQL("create schema if not exists {}").format(Identifier(target.schema)))
    connection.execute(
        SQL(
            "create table if not exists {} (target text primary key, stream text not null, lake_id text not null, "
            "table_id text not null, silver_version bigint not null, batch bigint not null, batch_id text not null, "
            "rows bigint not null, loaded_at timestamptz not null default now())"
        ).format(Identifier(target.schema, POSITIONS))
    )
    main, staging = Identifier(target.schema, target.name), Identifier(target.schema, target.staging)
    known = _columns(connection, target.schema, target.name)
    if not known:
        key = SQL(", ").join(map(Identifier, target.key))
        connection.execute(SQL("create table {} ({}, primary key ({}))").format(main, _ddl(target.columns), key))
    for name, kind in target.columns.items():
        if known and name not in known:
            connection.execute(SQL("alter table {} add column {} ").format(main, Identifier(name)) + SQL(kind))
        elif known and known[name] != kind:
            if not _is_wider(known[name], kind):
                raise SchemaIncompatibleError(
                    f"Column {name} of {target.label} is {known[name]}; the contract wants {kind}.",
                    why="PostgreSQL cannot widen the one to the other without losing values.",
                    fix=f"Load into another table with --table, or drop {target.label} and load with --full.",
                )
            connection.execute(SQL("alter table {} alter column {} type ").format(main, Identifier(name)) + SQL(kind))
    wanted = {**target.staged, "batch_id": "text"}
    if _columns(connection, target.schema, target.staging) != wanted:
        # What waits there belongs to a load that never ended; its rows are still in silver.
        connection.execute(SQL("drop table if exists {}").format(staging))
        connection.execute(SQL("create unlogged table {} ({})").format(staging, _ddl(wanted)))


def _ddl(columns: dict[str, str]) -> "Composed":
    from psycopg.sql import SQL, Identifier

    return SQL(", ").join(Identifier(name) + SQL(" " + kind) for name, kind in columns.items())


def _columns(connection: "Connection[Any]", schema: str, name: str) -> dict[str, str]:
    rows = connection.execute(
        "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a "
        "join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname = %s and c.relname = %s and a.attnum > 0 and not a.attisdropped order by a.attnum",
        (schema, name),
    ).fetchall()
    return dict(rows)


def _is_wider(old: str, new: str) -> bool:
    if (old, new) == ("integer", "bigint"):
        return True
    before, after = _NUMERIC.fullmatch(old), _NUMERIC.fullmatch(new)
    if before is None or after is None:
        return False
    digits = int(after[1]) - int(after[2]) >= int(before[1]) - int(before[2])
    return digits and int(after[2]) >= int(before[2])


def copy_statement(target: Target) -> "Composed":
    """COPY of CSV into staging, the columns in the order of `target.staged`, then `batch_id`."""
    from psycopg.sql import SQL, Identifier

    columns = SQL(", ").join(map(Identifier, [*target.staged, "batch_id"]))
    return SQL("copy {} ({}) from stdin (format csv)").format(Identifier(target.schema, target.staging), columns)


def merge_statement(target: Target, order: list[str]) -> "Composed":
    """Upsert of one batch's rows, each key once: the first by `order`, descending. Takes the batch_id."""
    from psycopg.sql import SQL, Identifier

    columns = SQL(", ").join(map(Identifier, target.columns))
    key = SQL(", ").join(map(Identifier, target.key))
    ranked = SQL(", ").join(Identifier(name) + SQL(" desc") for name in order)
    changed = SQL(", ").join(
        SQL("{0} = excluded.{0}").format(Identifier(name)) for name in target.columns if name not in target.key
    )
    return SQL(
        "insert into {target} ({columns}) select {columns} from "
        "(select distinct on ({key}) * from {staging} where batch_id = %s order by {key}, {ranked}) as latest {alive} "
        "on conflict ({key}) do update set {changed}"
    ).format(
        target=Identifier(target.schema, target.name),
        staging=Identifier(target.schema, target.staging),
        columns=columns,
        key=key,
        ranked=ranked,
        alive=SQL("where not {}").format(Identifier(DELETED)) if target.deletes else SQL(""),
        changed=changed,
    )


def delete_statement(target: Target, *, everything: bool) -> "Composed":
    """Delete what silver no longer has: rows that are not in the batch, of some event dates or all of them.

    Takes the batch_id and, unless `everything`, a list of event dates.
    """
    from psycopg.sql import SQL, Identifier

    statement = SQL("delete from {} t where not exists (select from {} s where s.batch_id = %s and {}{})").format(
        Identifier(target.schema, target.name),
        Identifier(target.schema, target.staging),
        _same_key(target),
        SQL(" and not s.{}").format(Identifier(DELETED)) if target.deletes else SQL(""),
    )
    return statement if everything else statement + SQL(" and t.event_date = any(%s)")


def forget_statement(target: Target) -> "Composed":
    """Delete the rows whose key the batch says was deleted. Takes the batch_id."""
    from psycopg.sql import SQL, Identifier

    return SQL("delete from {} t using {} s where s.batch_id = %s and s.{} and {}").format(
        Identifier(target.schema, target.name),
        Identifier(target.schema, target.staging),
        Identifier(DELETED),
        _same_key(target),
    )


def _same_key(target: Target) -> "Composed":
    from psycopg.sql import SQL, Identifier

    return SQL(" and ").join(SQL("s.{0} = t.{0}").format(Identifier(name)) for name in target.key)
