"""What a build of gold will read: one pinned version of each silver table, and the event dates that changed.

Here: versions, fingerprints of dates, the record of a build inside the gold file. Not here: running dbt or publishing
(`lake.gold.builds`).
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lakehouse.engine.duck import delta_connection, duck_connection, literal
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.schema.accepted import read_accepted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Mode = Literal["full", "incremental", "unchanged"]
# Beyond this many dates one pass over everything is faster than a filter on each.
MAX_TOUCHED_DATES = 400
WHOLE = ""
"""Stands for all dates of a table that is not partitioned by them."""

RECORD_TABLES = """
create table if not exists _build (
    built_at timestamp, lake_id varchar, stream varchar, silver_version bigint, touched_dates bigint,
    mode varchar, project varchar, invocation_id varchar
);
create table if not exists _silver_files (stream varchar, event_date varchar, fingerprint varchar);
"""


@dataclass(frozen=True)
class SilverPin:
    """One stream's part of a build.

    Attributes:
        version: Delta version that every model reads.
        touched: Event dates (ISO) to compute anew; None for all.
        dates: Fingerprint of the data files of each event date at that version.
        columns: Its columns at that version; None: not asked.
        public: Those that the contract has and that are not personal.
    """

    version: int
    touched: list[str] | None
    dates: dict[str, str]
    columns: list[str] | None = None
    public: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class BuildRecord:
    """The last build, as gold itself tells it. Times are UTC; `versions` maps stream to silver version."""

    built_at: datetime
    lake_id: str | None
    project: str
    invocation_id: str
    versions: dict[str, int]
    dates: dict[str, dict[str, str]]


@dataclass(frozen=True)
class BuildPlan:
    """What the next build reads and how."""

    mode: Mode
    pins: dict[str, SilverPin]
    project: str
    lake_id: str | None

    def as_json(self) -> str:
        """The form in which the dbt project takes it (macros/silver.sql)."""
        shown = ("version", "touched", "columns", "public")
        return json.dumps({name: {key: getattr(pin, key) for key in shown} for name, pin in self.pins.items()})


def gold_streams(project: Path, streams: Iterable[str]) -> list[str]:
    """The tables of the streams that the dbt project reads: a change of any other is no reason to build.

    Returns:
        Names as `LakePaths.readable` knows them: a stream's for its silver, `history/<stream>` for its history.
    """
    import yaml

    named: set[str] = set()
    for path in (project / "models").rglob("_sources.yml"):
        for source in yaml.safe_load(path.read_text(encoding="utf-8")).get("sources", []):
            before = {"silver": "", "history": "history/"}.get(source["name"])
            named |= set() if before is None else {before + table["name"] for table in source["tables"]}
    known = set(streams)
    return sorted(name for name in named if name.removeprefix("history/") in known)


def plan_build(
    paths: LakePaths,
    streams: Iterable[str],
    previous: BuildRecord | None,
    *,
    project: str,
    lake_id: str | None,
    full_refresh: bool = False,
    frozen: bool = False,
) -> BuildPlan:
    """Pin every silver table and compare its dates with the last build.

    Args:
        paths: The lake.
        streams: Names of tables as `LakePaths.readable` knows them; those that do not exist are left out.
        previous: The last build inside the work file, if any.
        project: Fingerprint of the dbt project; another one means that every model is computed anew.
        lake_id: The lake's id; another one means that nothing of the last build can be kept.
        full_refresh: Compute everything anew.
        frozen: Read the versions of the last build again instead of the newest.
    """
    known = previous if previous and previous.lake_id == lake_id else None
    full = full_refresh or known is None or known.project != project
    pins: dict[str, SilverPin] = {}
    with delta_connection() as connection:
        for stream in streams:
            path = paths.readable(stream)
            if not table_exists(path) or (frozen and known and stream not in known.versions):
                continue
            version = known.versions[stream] if frozen and known else latest_version(path)
            dates = date_fingerprints(connection, path, version)
            before = known.dates.get(stream) if known else None
            columns = column_names(connection, path, version)
            accepted = read_accepted(path)
            fields = () if accepted is None else accepted.shape.fields
            public = [spec.name for spec in fields if not spec.pii and spec.name in columns]
            pins[stream] = SilverPin(version, None if full else _touched(before, dates), dates, columns, public)
    unchanged = (
        not full
        and known is not None
        and not frozen
        and known.versions == {name: pin.version for name, pin in pins.items()}
    )
    return BuildPlan("unchanged" if unchanged else "full" if full else "incremental", pins, project, lake_id)


def _touched(before: dict[str, str] | None, now: dict[str, str]) -> list[str] | None:
    if before is None:
        return None
    dates = sorted(day for day in before.keys() | now.keys() if before.get(day) != now.get(day))
    return dates if len(dates) <= MAX_TOUCHED_DATES and WHOLE not in dates else None


def column_names(connection: "DuckDBPyConnection", path: str, version: int) -> list[str]:
    """Columns of a Delta table at one version, in order."""
    scan = f"delta_scan({literal(path)}, version => {version})"
    rows = connection.execute(f"select column_name from (describe select * from {scan})").fetchall()  # noqa: S608 - our own path, quoted
    return [row[0] for row in rows]


def latest_version(path: str) -> int:
    """Newest committed version of a Delta table."""
    from deltalake import DeltaTable

    return int(DeltaTable(path).version())


def date_fingerprints(connection: "DuckDBPyConnection", path: str, version: int) -> dict[str, str]:
    """For each event date, a hash over its data files and how many rows of each are deleted.

    Data files never change and deleted rows only grow in number, so equal fingerprints mean equal rows, whatever wrote
    them: merge, backfill, correction or erasure. Only the Delta log is read.
    """
    files: dict[str, list[str]] = {}
    rows = connection.execute(
        "select partitions['event_date'], data_file, coalesce(delete_count, 0)"  # noqa: S608 - our own path, quoted
        f" from delta_list_files({literal(path)}, version => {version}, delete_count => true)"
    ).fetchall()
    for day, file, deleted in rows:
        files.setdefault(WHOLE if day is None else str(day), []).append(f"{Path(file).name}:{deleted}")
    return {
        day: hashlib.md5("\n".join(sorted(names)).encode(), usedforsecurity=False).hexdigest()
        for day, names in files.items()
    }


def project_fingerprint(folder: Path, *secrets: str) -> str:
    """Hash over everything in the dbt project that decides what a mart holds."""
    digest = hashlib.sha256("\x00".join(secrets).encode())
    sources = [folder / "dbt_project.yml"]
    for name in ("models", "snapshots", "macros", "seeds"):
        sources += sorted(path for path in (folder / name).rglob("*") if path.suffix in {".sql", ".yml", ".csv"})
    for path in sources:
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


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
    if not rows:
        return None
    dates: dict[str, dict[str, str]] = {}
    for stream, day, fingerprint in files:
        dates.setdefault(stream, {})[day] = fingerprint
    versions = {row[4]: int(row[5]) for row in rows if row[4] is not None}
    built_at, lake_id, project, invocation_id = rows[0][:4]
    return BuildRecord(
        built_at.replace(tzinfo=UTC), lake_id, project, invocation_id, versions, {s: dates.get(s, {}) for s in versions}
    )


def write_record(connection: "DuckDBPyConnection", plan: BuildPlan, *, built_at: datetime, invocation_id: str) -> None:
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


def _insert(connection: "DuckDBPyConnection", table: str, rows: list[list[str | int | None]]) -> None:
    if rows:
        values = ", ".join(f"({', '.join(literal(cell) for cell in row)})" for row in rows)
        connection.execute(f"insert into {table} values {values}")  # noqa: S608 - literals, quoted
