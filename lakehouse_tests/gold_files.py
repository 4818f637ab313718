"""Gold as a build would have published it, made by hand: tables of a test's own, and the record of the build.

Here: writing the file. Not here: gold by the real dbt (`integration/dbt`).
"""

from datetime import UTC, datetime

import duckdb

from lakehouse.lake.gold.build_plan import plan_build
from lakehouse.lake.gold.build_record import write_record
from lakehouse.lake.gold.builds import gold_path
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings


def publish(settings: Settings, streams: list[str], tables: dict[str, str]) -> None:
    """Write gold from silver as it is now. `tables`: name to the query that makes it."""
    path = gold_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    plan = plan_build(LakePaths.of(settings), streams, None, project="hand", lake_id=None)
    with duckdb.connect(str(path)) as connection:
        for name, query in tables.items():
            connection.execute(f"create table {name} as {query}")
        write_record(connection, plan, built_at=datetime.now(UTC), invocation_id="hand")
