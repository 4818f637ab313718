"""What a build of gold will read: one pinned version of each silver table, and the event dates that changed.

Here: versions, fingerprints of dates, what silver's schema says. Not here: the record of a build inside the gold file
(`lake.gold.build_record`), running dbt or publishing (`lake.gold.builds`).
"""

import hashlib
from collections.abc import Container, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.engine.duck import delta_connection, literal
from lakehouse.lake.gold.build_record import BuildPlan, BuildRecord, SilverPin
from lakehouse.lake.gold.lineage import SOURCES
from lakehouse.lake.ledger import commits
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.schema.accepted import read_accepted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Beyond this many dates one pass over everything is faster than a filter on each.
MAX_TOUCHED_DATES = 400
WHOLE = ""
"""Stands for all dates of a table that is not partitioned by them."""


def gold_streams(project: Path, streams: Iterable[str]) -> list[str]:
    """The tables of the streams that the dbt project reads: a change of any other is no reason to build.

    Returns:
        Names as `LakePaths.readable` knows them: a stream's for its silver, `history/<stream>` for its history.
    """
    import yaml

    named: set[str] = set()
    for path in (project / "models").rglob("_sources.yml"):
        for source in yaml.safe_load(path.read_text(encoding="utf-8")).get("sources", []):
            if source["name"] in SOURCES:
                named |= {SOURCES[source["name"]] + table["name"] for table in source["tables"]}
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
    pins: dict[str, SilverPin] = {}
    with delta_connection() as connection:
        for stream in streams:
            path = paths.readable(stream)
            if not table_exists(path) or (frozen and known and stream not in known.versions):
                continue
            version = known.versions[stream] if frozen and known else latest_version(path)
            before = known.dates.get(stream) if known else None
            dates = date_fingerprints(connection, path, version)
            columns = column_types(connection, path, version)
            pins[stream] = SilverPin(version, _touched(before, dates), dates, columns, **_schema(path, columns))
    held, now = known.versions if known else {}, {name: pin.version for name, pin in pins.items()}
    # A table that was restored may be at the same version with other files.
    changed = {name for name in held.keys() | now.keys() if held.get(name) != now.get(name)}
    changed |= {name for name, pin in pins.items() if pin.touched != []}
    full = full_refresh or known is None or known.project != project or _is_reshaped(known, pins)
    if full:
        pins = {stream: replace(pin, touched=None) for stream, pin in pins.items()}
    # Single models built again do not make the others models of today's project and schema.
    lasting = {name: pin.lasting for name, pin in pins.items()}
    return BuildPlan(
        "full" if full else "incremental" if changed or frozen else "unchanged",
        pins,
        known.project if frozen and known else project,
        lake_id,
        known.columns if frozen and known else lasting,
        frozenset(changed),
        any(_loses_rows(paths.readable(name), held[name]) for name in changed & held.keys()),
    )


def _loses_rows(path: str, since: int) -> bool:
    """Whether rows may have gone from a table after a version of it: also when its log does not tell."""
    for newer, commit in enumerate(commits(path)):
        if commit.version <= since:
            # Without a newer one the table was restored, or made anew.
            return newer == 0 or commit.version < since
        if commit.takes_rows:
            return True
    return True


def _touched(before: dict[str, str] | None, now: dict[str, str]) -> list[str] | None:
    if before is None:
        return None
    dates = sorted(day for day in before.keys() | now.keys() if before.get(day) != now.get(day))
    return dates if len(dates) <= MAX_TOUCHED_DATES and WHOLE not in dates else None


def _schema(path: str, columns: Container[str]) -> dict[str, Any]:
    """What the table's accepted schema says of these columns: `public`, `renamed`, … as in `SilverPin`."""
    accepted = read_accepted(path)
    if accepted is None:
        return {}
    # A version that is read again may be older than the schema.
    fields = [spec for spec in accepted.shape.fields if spec.name in columns]
    always = {*accepted.shape.key, accepted.shape.event_time}
    heirs = {
        former: next((spec.name for spec in fields if set(keys) & set(spec.keys)), None)
        for former, keys in accepted.retired.items()
    }
    return {
        "public": [spec.name for spec in fields if not spec.pii],
        "renamed": {former: heir for former, heir in heirs.items() if heir is not None},
        "dropped": [former for former, heir in heirs.items() if heir is None],
        "nullable": [spec.name for spec in fields if spec.nullable and spec.name not in always],
    }


def _is_reshaped(known: BuildRecord, pins: dict[str, SilverPin]) -> bool:
    """Whether a column has another type than in the last build, was dropped, or may be empty now.

    Marts that append would go on refusing what does not fit the former type, or a null.
    """
    return any(
        pin.lasting.get(name) != kind
        for stream, pin in pins.items()
        for name, kind in known.columns.get(stream, {}).items()
    )


def column_types(connection: "DuckDBPyConnection", path: str, version: int) -> dict[str, str]:
    """Columns of a Delta table at one version with DuckDB's types in small letters, in order."""
    scan = f"delta_scan({literal(path)}, version => {version})"
    rows = connection.execute(f"select column_name, column_type from (describe select * from {scan})").fetchall()  # noqa: S608 - our own path, quoted
    aliases = {"timestamp with time zone": "timestamptz"}
    return {name: aliases.get(kind.lower(), kind.lower()) for name, kind in rows}


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
