"""What a table's columns hold: nulls, distinct values, least, greatest, quantiles, a histogram. Personal fields: never.

Here: the queries (DuckDB's SQL) and their answer as values. Not here: running them (`lake.quality.profiles`), plots.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.quality.plots import sparkline

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS = 12
_TOP = 8


@dataclass(frozen=True)
class ColumnProfile:
    """One column. `distinct` is an estimate (HyperLogLog, about 2 %); texts have no quantiles, other types no `top`.

    Attributes:
        name: Of the column.
        type: Its type in the contract.
        rows: Rows looked at.
        nulls: How many have no value.
        distinct: Different values.
        least: Smallest value, as text.
        greatest: Largest value, as text.
        quantiles: By share; of timestamps as seconds since 1970.
        histogram: (lower bound, rows) of equally wide bins.
        top: (value, rows), most frequent first, when a text has few values.
    """

    name: str
    type: str
    rows: int
    nulls: int
    distinct: int
    least: str | None
    greatest: str | None
    quantiles: dict[float, float]
    histogram: tuple[tuple[float, int], ...] = ()
    top: tuple[tuple[str, int], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def plot(self) -> str:
        """The histogram, or the most frequent values, as characters."""
        return sparkline([count for _, count in self.histogram or self.top])


def public_fields(contract: StreamContract) -> list[FieldSpec]:
    """The fields whose values may be shown."""
    return [field for field in contract.fields if not field.pii]


def is_number(field: FieldSpec) -> bool:
    """Whether quantiles make sense of its values as they are."""
    return field.type in ("integer", "long", "double") or field.type.startswith("decimal")


def summary_sql(fields: Sequence[FieldSpec], source: str) -> str:
    """One row: for each field nulls, distinct, least, greatest, quantiles."""
    parts = ["count(*)"]
    for field in fields:
        name = f'"{field.name}"'
        parts += [f"count(*) - count({name})", f"approx_count_distinct({name})"]
        parts += [f"cast(min({name}) as varchar)", f"cast(max({name}) as varchar)"]
        wanted = f"[{', '.join(map(str, QUANTILES))}]"
        parts.append(f"approx_quantile({_finite(field)}, {wanted})" if _has_order(field) else "NULL")
    return f"select {', '.join(parts)} from {source}"  # noqa: S608 - names out of the contract


def histogram_sql(fields: Sequence[FieldSpec], ranges: dict[str, tuple[float, float]], source: str) -> str:
    """One row: for each of these fields the rows in each of `BINS` equally wide bins over its range."""
    parts = []
    for field in fields:
        low, high = ranges[field.name]
        for lower, upper, is_last in _bins(low, high):
            value, end = _finite(field), "<=" if is_last else "<"
            parts.append(f"count_if({value} >= {lower!r} and {value} {end} {upper!r})")
    return f"select {', '.join(parts)} from {source}"  # noqa: S608 - names out of the contract


def top_sql(field: FieldSpec, source: str) -> str:
    """The most frequent values of a text, with their rows."""
    name = f'"{field.name}"'
    return (
        f"select {name}, count(*) from {source} where {name} is not null "  # noqa: S608 - names out of the contract
        f"group by 1 order by 2 desc, 1 limit {_TOP}"
    )


def columns_of(fields: Sequence[FieldSpec], row: Sequence[Any]) -> list[ColumnProfile]:
    """The answer of `summary_sql` as values."""
    rows, cells = int(row[0]), list(row[1:])
    found = []
    for number, field in enumerate(fields):
        nulls, distinct, least, greatest, quantiles = cells[5 * number : 5 * number + 5]
        known = dict(zip(QUANTILES, map(float, quantiles), strict=True)) if quantiles else {}
        found.append(ColumnProfile(field.name, field.type, rows, int(nulls), int(distinct), least, greatest, known))
    return found


def ranges_of(columns: Sequence[ColumnProfile]) -> dict[str, tuple[float, float]]:
    """Where a histogram of each number should begin and end: what nearly all values lie in, not the outliers."""
    found = {}
    for column in columns:
        if not column.quantiles or not is_number_type(column.type):
            continue
        low, high = column.quantiles[QUANTILES[0]], column.quantiles[QUANTILES[-1]]
        if math.isfinite(low) and math.isfinite(high):
            found[column.name] = (low, high if high > low else low + 1.0)
    return found


def is_number_type(kind: str) -> bool:
    """As `is_number`, by the name of the type."""
    return kind in ("integer", "long", "double") or kind.startswith("decimal")


def binned(ranges: dict[str, tuple[float, float]], row: Sequence[int]) -> dict[str, tuple[tuple[float, int], ...]]:
    """The answer of `histogram_sql` by field, in the order of `ranges`."""
    found = {}
    for number, (name, (low, high)) in enumerate(ranges.items()):
        counts = row[BINS * number : BINS * (number + 1)]
        bounds = [lower for lower, _, _ in _bins(low, high)]
        found[name] = tuple(zip(bounds, map(int, counts), strict=True))
    return found


def _bins(low: float, high: float) -> list[tuple[float, float, bool]]:
    step = (high - low) / BINS
    return [
        (low + number * step, high if number == BINS - 1 else low + (number + 1) * step, number == BINS - 1)
        for number in range(BINS)
    ]


def _has_order(field: FieldSpec) -> bool:
    return is_number(field) or field.type in ("timestamp", "date")


def _finite(field: FieldSpec) -> str:
    if field.type in ("timestamp", "date"):
        return f'epoch("{field.name}")'
    return f'cast("{field.name}" as double)'
