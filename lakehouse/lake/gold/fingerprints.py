"""What a build of gold would read, told from file names alone: versions, dates, columns, the dbt project.

Here: short names for a state, equal when nothing differs. Not here: what follows from a difference (`build_plan`).
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.engine.duck import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WHOLE = ""
"""Stands for all dates of a table that is not partitioned by them."""


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
