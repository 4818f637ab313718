"""Dated copies of gold's tables for other tools: Parquet and CSV below the lake's root, whole or not at all.

Here: writing and finding them. Not here: when (`components.exports`).
"""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from lakehouse.engine.duck import duck_connection, literal
from lakehouse.engine.embedded.files import write_atomically
from lakehouse.errors import UsageError
from lakehouse.lake.gold.builds import require_gold
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings

FORMATS = {"parquet": "(format parquet, compression zstd)", "csv": "(format csv, header)"}
KPI_SUFFIX = "_daily"
"""Tables that are exported when none are named: the daily key figures."""


@dataclass(frozen=True)
class Export:
    """One dated export: its folder, rows by table, and when gold was built that it was taken from."""

    folder: Path
    rows: dict[str, int]
    built_at: datetime | None


def export_gold(settings: Settings, *, day: date | None = None, tables: list[str] | None = None) -> Export:
    """Write `reports/exports/<day>/<table>.parquet` and `.csv`, and a manifest; a second export of a day replaces it.

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
    manifest = {"exported_at": moment, "gold_built_at": build.built_at if build else None, "rows": rows}
    write_atomically(draft / "manifest.json", json.dumps(manifest, indent=2, default=str) + "\n")
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return Export(folder, rows, build.built_at if build else None)
