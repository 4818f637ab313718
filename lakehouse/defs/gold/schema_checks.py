"""A warning in the graph when a table of gold has other columns or types than after the build before.

Here: these checks. Not here: what makes a table change (`dbt_project/macros/contracts.sql`).
"""

from pathlib import Path

import dagster as dg

from lakehouse.lake.gold.lineage import published


def gold_tables(manifest: Path) -> list[dg.AssetKey]:
    """The assets that a build publishes: marts and snapshots, not what is below them."""
    return [dg.AssetKey(["gold", name]) for name in published(manifest)]


def build_schema_checks(tables: list[dg.AssetKey]) -> list[dg.AssetChecksDefinition]:
    """Dagster's own checks, which run with the tables: they compare what the last two builds of each published.

    One by one: Dagster leaves out a step of checks as soon as one of its tables was not built.
    """
    return [checks for table in tables for checks in dg.build_column_schema_change_checks(assets=[table])]
