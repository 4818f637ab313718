"""Copies of gold's tables for other tools: dated files, and Parquet by event date, below the lake's root.

Each copy is whole or not there.

Here: writing and finding them. Not here: when (`components.exports`).
"""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.engine.duck import duck_connection, literal
from lakehouse.engine.embedded.files import write_atomically
from lakehouse.errors import UsageError
from lakehouse.lake.gold.builds import require_gold
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FORMATS = {"parquet": "(format parquet, compression zstd)", "csv": "(format csv, header)"}
KPI_SUFFIX = "_daily"
"""Tables that are exported when none are named: the daily key figures."""
PARTITIONED = ("daily_user_metrics",)
"""Tables that readers want by event date, whatever else is exported; DuckDB's own tables have no partitions."""


@dataclass(frozen=True)
class Export:
    """One dated export: its folder, rows by table, when gold was built that it was taken from, folders by date."""

    folder: Path
    rows: dict[str, int]
    built_at: datetime | None
    partitioned: tuple[Path, ...] = ()


def export_gold(settings: Settings, *, day: date | None = None, tables: list[str] | None = None) -> Export:
    """Write `reports/exports/<day>/<table>.parquet` and `.csv`, and a manifest; a second export of a day replaces it.

    Also `gold/<table>/event_date=<date>/` of the tables in `PARTITIONED`, as they are now.

    Args:
        settings: Lake and gold.
        day: The folder's name; today (UTC) by default.
        tables: Tables of gold; all `*_daily` by default.

    Raises:
        GoldMissingError: gold was never built.
        UsageError: a table is not there; names the ones that are.
    """
    from lakehouse.lake.gold.builds import last_build

    moment = datetime.now(UTC)
    folder = LakePaths.of(settings).reports / "exports" / f"{day or moment.date()}"
    rows: dict[str, int] = {}
    published, build = require_gold(settings), last_build(settings)
    with duck_connection(published, read_only=True) as gold:
        listed = gold.execute("select table_name from duckdb_tables() where schema_name = 'main'").fetchall()
        known = {row[0] for row in listed}
        wanted = tables or sorted(name for name in known if name.endswith(KPI_SUFFIX))
        missing = sorted(set(wanted) - known)
        if missing:
            shown = ", ".join(sorted(name for name in known if not name.startswith("_")))
            raise UsageError(f"Gold has no table {', '.join(missing)}.", fix=f"Tables: {shown}.")
        draft = folder.with_name(f".{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for name in wanted:
            for suffix, options in FORMATS.items():
                gold.execute(f'copy "{name}" to {literal(str(draft / f"{name}.{suffix}"))} {options}')
            counted = gold.execute(f'select count(*) from "{name}"').fetchone()  # noqa: S608 - a known table
            rows[name] = int(counted[0]) if counted else 0
        by_date = [name for name in PARTITIONED if name in known]
        partitioned = tuple(_write_by_date(gold, name, LakePaths.of(settings).gold_files(name)) for name in by_date)
    manifest = {"exported_at": moment, "gold_built_at": build.built_at if build else None, "rows": rows}
    write_atomically(draft / "manifest.json", json.dumps(manifest, indent=2, default=str) + "\n")
    _put_in_place(draft, folder)
    return Export(folder, rows, build.built_at if build else None, partitioned)


def _write_by_date(gold: "DuckDBPyConnection", table: str, folder: Path) -> Path:
    """The table in folders by event date, as Hive, Spark and DuckDB read them."""
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    options = "(format parquet, compression zstd, partition_by (event_date), overwrite_or_ignore)"
    gold.execute(f'copy (from "{table}" order by event_date) to {literal(str(draft))} {options}')
    _put_in_place(draft, folder)
    return folder


def _put_in_place(draft: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
