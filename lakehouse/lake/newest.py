"""The newest time in a stream's silver, without Spark. Here: one question."""

from datetime import UTC, datetime

from lakehouse.engine.duck import lasting_delta_connection
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.settings import Settings


def newest_time(settings: Settings, stream: str, column: str, *, where: str = "true") -> datetime | None:
    """The newest time (UTC) in a column of silver among the rows that meet a condition; None without any.

    Args:
        settings: The lake.
        stream: Whose silver.
        column: A timestamp.
        where: A condition in DuckDB's SQL.
    """
    path = LakePaths.of(settings).silver(stream)
    if not table_exists(path):
        return None
    with lasting_delta_connection() as duck:
        query = f'select epoch_us(max("{column}")) from delta_scan(?) where {where}'  # noqa: S608 - names of ours
        row = duck.execute(query, [path]).fetchone()
    return datetime.fromtimestamp(row[0] / 1_000_000, UTC) if row and row[0] is not None else None
