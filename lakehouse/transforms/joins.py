"""Joining a stream with a dimension: what is known about a thing, added to each event about it.

Here: the pure function. Not here: where the dimension comes from and which version of it (`lake.speed`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def with_dimension(rows: "DataFrame", dimension: "DataFrame", *, on: str, unknown: Mapping[str, str]) -> "DataFrame":
    """The rows with columns of the dimension: each row stays, and stays once.

    Args:
        rows: A micro-batch of the stream.
        dimension: One row per `on`; when it has several, any of them is taken. Small: it is sent to every task.
        on: Column that both have.
        unknown: Columns to take, each with the SQL text of its value where the dimension does not know the row.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    known = dimension.select(on, *unknown).dropDuplicates([on])
    joined = rows.join(F.broadcast(known), on, "left")
    return joined.withColumns({name: F.expr(f"coalesce(`{name}`, {value})") for name, value in unknown.items()})
