"""Profiles of silver tables, by DuckDB out of the Delta files. Here: running the queries. Not here: what they ask."""

from dataclasses import replace
from datetime import date

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.quality.measure import is_live
from lakehouse.quality.profile import (
    ColumnProfile,
    binned,
    columns_of,
    histogram_sql,
    public_fields,
    ranges_of,
    summary_sql,
    top_sql,
)
from lakehouse.quality.rules import on_days
from lakehouse.settings import Settings

_FEW_VALUES = 50


def profile(contract: StreamContract, settings: Settings, days: list[date] | None) -> list[ColumnProfile]:
    """The columns of silver on these event dates (None: all), without personal fields; nothing for no rows.

    Reads the columns once for the figures and once for the histograms.
    """
    path = LakePaths.of(settings).silver(contract.name)
    if not table_exists(path):
        return []
    from lakehouse.engine.duck import delta_connection, literal

    source = f"delta_scan({literal(path)}) where {on_days('event_date', days)} and {is_live(contract)}"
    fields = public_fields(contract)
    with delta_connection() as duck:
        # A view, not a copy: the days may be larger than the memory, and only the columns asked for are read.
        duck.execute("set memory_limit = '1GB'")
        duck.execute(f"create temp view rows_ as from {source}")
        row = duck.execute(summary_sql(fields, "rows_")).fetchone()
        if row is None or row[0] == 0:
            return []
        columns = columns_of(fields, row)
        ranges = ranges_of(columns)
        bins = {}
        if ranges:
            numbers = [field for field in fields if field.name in ranges]
            counts = duck.execute(histogram_sql(numbers, ranges, "rows_")).fetchone()
            bins = binned(ranges, counts or ())
        found = []
        for field, column in zip(fields, columns, strict=True):
            top: tuple[tuple[str, int], ...] = ()
            if field.type in ("string", "boolean") and column.distinct <= _FEW_VALUES:
                top = tuple(
                    (str(value), int(count)) for value, count in duck.execute(top_sql(field, "rows_")).fetchall()
                )
            found.append(replace(column, histogram=bins.get(column.name, ()), top=top))
        return found
