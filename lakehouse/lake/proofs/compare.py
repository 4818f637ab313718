"""Two tables that should be the same: by the dates on which they differ, and by the rows that one of them lacks.

Here: order-independent fingerprints, and the words for what they show. Not here: which tables (`silver`, `history`).
"""

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_NAMED = 5

Groups = dict[object, tuple[int, object]]
"""Of a table: rows and the sum of their hashes, by group."""
Fingerprints = dict[str, Groups]
"""The same of several tables, by name."""


class Sides(NamedTuple):
    """A table and its rebuild.

    Attributes:
        held: The table's rows.
        rebuilt: What they should be.
        by: The date column that both are compared by.
        topic: Where the rows come from.
        place: The columns with a row's partition and offset on the topic: they name it, and are no personal data.
    """

    held: "DataFrame"
    rebuilt: "DataFrame"
    by: str
    topic: str
    place: tuple[str, str] = ("_partition", "_offset")


def fingerprints(tables: Mapping[str, tuple["DataFrame", str]]) -> Fingerprints:
    """Rows and the sum of row hashes per table and group, in one query: equal multisets have equal sums in any order.

    Args:
        tables: By name, each with the column that it is grouped by, a date.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    parts = [
        table.select(
            F.lit(name).alias("_table"),
            F.col(by).alias("_by"),
            F.xxhash64(*_told_apart(table.columns)).cast("decimal(38,0)").alias("_hash"),
        )
        for name, (table, by) in tables.items()
    ]
    groups = reduce(lambda one, other: one.unionAll(other), parts).groupBy("_table", "_by")
    found: Fingerprints = {name: {} for name in tables}
    for group in groups.agg(F.count("*").alias("rows"), F.sum("_hash").alias("hash")).collect():
        found[group["_table"]][group["_by"]] = (group["rows"], group["hash"])
    return found


def _told_apart(columns: list[str]) -> Iterator["Column"]:
    """What is hashed of a row. A null leaves Spark's hash as it is: alone, it might stand in any of the columns."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    for column in columns:
        value = F.col(f"`{column}`")
        yield value
        yield F.isnull(value)


def differing(one: Groups, other: Groups) -> list[object]:
    """The groups in which two tables differ, in order."""
    return sorted((group for group in one.keys() | other.keys() if one.get(group) != other.get(group)), key=str)


def sentences(what: str, noun: str, held: Groups, rebuilt: Groups, sides: Sides) -> list[str]:
    """One for each date on which the two differ, with a few of the rows.

    Args:
        what: What the date is, for example "event date".
        noun: What is counted.
        held: The table's fingerprints.
        rebuilt: Those of its rebuild.
        sides: Both, for the rows.
    """
    said = []
    for day in differing(held, rebuilt):
        rows, should = held.get(day, (0, None))[0], rebuilt.get(day, (0, None))[0]
        mine, wanted = (side.where(f"{sides.by} = DATE'{day}'") for side in (sides.held, sides.rebuilt))
        text = f"{what} {day}: {rows} {noun}, the rebuild from bronze has {should}"
        text += _named(" · not in the rebuild: ", mine.exceptAll(wanted), sides)
        text += _named(" · missing: ", wanted.exceptAll(mine), sides)
        said.append(text)
    return said


def _named(label: str, rows: "DataFrame", sides: Sides) -> str:
    odd = rows.select(*sides.place).limit(_NAMED).collect()
    return f"{label}{sides.topic} " + ", ".join(f"{row[0]}:{row[1]}" for row in odd) if odd else ""
