"""What a build of gold reads and what it was: the pins, the plan, and the record of it inside the gold file.

Here: these records, and writing and reading the last one. Not here: how they come about (`lake.gold.build_plan`).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lakehouse.engine.duck import duck_connection, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Mode = Literal["full", "incremental", "unchanged"]
RECORD_TABLES = """
create table if not exists _build (
    built_at timestamp, lake_id varchar, stream varchar, silver_version bigint, touched_dates bigint,
    mode varchar, project varchar, invocation_id varchar
);
create table if not exists _silver_files (stream varchar, event_date varchar, fingerprint varchar);
create table if not exists _silver_columns (stream varchar, name varchar, type varchar);
create table if not exists _warnings (test varchar);
"""


@dataclass(frozen=True)
class SilverPin:
    """One stream's part of a build.

    Attributes:
        version: Delta version that every model reads.
        touched: Event dates (ISO) to compute anew; None for all.
        dates: Fingerprint of the data files of each event date at that version.
        columns: Its columns at that version with DuckDB's types, in small letters.
        public: Those that the contract has and that are not personal.
        renamed: Columns that the contract calls otherwise now: former name to today's.
        dropped: Columns that the contract had once and has no more.
        nullable: Columns that may be empty, as the contract says.
    """

    version: int
    touched: list[str] | None
    dates: dict[str, str]
    columns: dict[str, str] = field(default_factory=dict)
    public: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    nullable: list[str] = field(default_factory=list)

    @property
    def lasting(self) -> dict[str, str]:
        """The columns without those that the contract has dropped; types with `null` where a value may be missing."""
        kinds = {name: kind for name, kind in self.columns.items() if name not in self.dropped}
        return {name: f"{kind} null" if name in self.nullable else kind for name, kind in kinds.items()}


@dataclass(frozen=True)
class BuildRecord:
    """The last build, as gold itself tells it. Times are UTC; `versions` maps stream to silver version.

    `columns` are each stream's lasting columns then, as in `SilverPin`; `warned` the tests that warned and still would.
    """

    built_at: datetime
    lake_id: str | None
    project: str
    invocation_id: str
    versions: dict[str, int]
    dates: dict[str, dict[str, str]]
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    warned: frozenset[str] = frozenset()


@dataclass(frozen=True)
class BuildPlan:
    """What the next build reads and how.

    Attributes:
        mode: Whether everything is computed, what has changed, or nothing.
        pins: What is read of each table of silver.
        project: Fingerprint of the dbt project.
        lake_id: The lake's id.
        columns: Each table's lasting columns, as in `SilverPin`, that this build's marts were made of.
        changed: Tables that are not what they were in the build before, or were not there.
        loses_rows: Whether rows may have gone from one of them since.
    """

    mode: Mode
    pins: dict[str, SilverPin]
    project: str
    lake_id: str | None
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()
    loses_rows: bool = False

    def as_json(self) -> str:
        """The form in which the dbt project takes it (macros/silver.sql)."""
        shown = ("version", "touched", "columns", "public", "renamed", "dropped", "nullable")
        return json.dumps({name: {key: getattr(pin, key) for key in shown} for name, pin in self.pins.items()})


def read_record(gold: Path) -> BuildRecord | None:
    """The last build that a gold file tells of, or None when the file is absent or holds no record."""
    if not gold.is_file():
        return None
    with duck_connection(gold, read_only=True) as connection:
        tables = {row[0] for row in connection.execute("select table_name from duckdb_tables()").fetchall()}
        if not {"_build", "_silver_files"} <= tables:
            return None
        rows = connection.execute(
            "select built_at, lake_id, project, invocation_id, stream, silver_version from _build"
            " where built_at = (select max(built_at) from _build)"
        ).fetchall()
        files = connection.execute("select stream, event_date, fingerprint from _silver_files").fetchall()
        # A file of before they were noted has none; nothing else of it is lost by that.
        noted = {"_silver_columns", "_warnings"} <= tables
        types = connection.execute("select stream, name, type from _silver_columns").fetchall() if noted else []
        warned = connection.execute("select test from _warnings").fetchall() if noted else []
    if not rows:
        return None
    dates: dict[str, dict[str, str]] = {}
    for stream, day, fingerprint in files:
        dates.setdefault(stream, {})[day] = fingerprint
    columns: dict[str, dict[str, str]] = {}
    for stream, name, kind in types:
        columns.setdefault(stream, {})[name] = kind
    versions = {row[4]: int(row[5]) for row in rows if row[4] is not None}
    built_at, lake_id, project, invocation_id = rows[0][:4]
    return BuildRecord(
        built_at.replace(tzinfo=UTC),
        lake_id,
        project,
        invocation_id,
        versions,
        {stream: dates.get(stream, {}) for stream in versions},
        columns,
        frozenset(row[0] for row in warned),
    )


def write_record(
    connection: "DuckDBPyConnection",
    plan: BuildPlan,
    *,
    built_at: datetime,
    invocation_id: str,
    warned: Iterable[str] = (),
) -> None:
    """Write the build into the gold file itself, so that file and record can never disagree."""
    connection.execute(RECORD_TABLES)
    common = [built_at.astimezone(UTC).replace(tzinfo=None).isoformat(), plan.lake_id]
    pins: list[tuple[str | None, SilverPin | None]] = [*plan.pins.items()] or [(None, None)]
    _insert(
        connection,
        "_build",
        [
            [
                *common,
                name,
                None if pin is None else pin.version,
                None if pin is None or pin.touched is None else len(pin.touched),
                plan.mode,
                plan.project,
                invocation_id,
            ]
            for name, pin in pins
        ],
    )
    connection.execute("delete from _silver_files")
    _insert(
        connection,
        "_silver_files",
        [[name, day, mark] for name, pin in plan.pins.items() for day, mark in pin.dates.items()],
    )
    connection.execute("delete from _warnings")
    _insert(connection, "_warnings", [[test] for test in sorted(warned)])
    connection.execute("delete from _silver_columns")
    _insert(
        connection,
        "_silver_columns",
        [[stream, name, kind] for stream, columns in plan.columns.items() for name, kind in columns.items()],
    )


def published_columns(gold: Path) -> dict[str, dict[str, str]]:
    """The tables that a gold file offers, each with its columns and their DuckDB types, in order."""
    with duck_connection(gold, read_only=True) as connection:
        rows = connection.execute(
            "select table_name, column_name, data_type from duckdb_columns() where not internal"
            " and not starts_with(table_name, '_') order by table_name, column_index"
        ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        found.setdefault(table, {})[column] = kind
    return found


def _insert(connection: "DuckDBPyConnection", table: str, rows: list[list[str | int | None]]) -> None:
    if rows:
        values = ", ".join(f"({', '.join(literal(cell) for cell in row)})" for row in rows)
        connection.execute(f"insert into {table} values {values}")  # noqa: S608 - literals, quoted
