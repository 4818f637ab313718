"""Which row of a key is silver's: one rule for merges, rebuilds and proofs.

Here: the order of rows, choosing by it, what a truncate leaves. Not here: parsing and judging (`transforms.events`),
merging (`lake.merge`).
"""

from typing import TYPE_CHECKING

from lakehouse.contracts.change import CHANGE_COLUMNS
from lakehouse.contracts.model import StreamContract
from lakehouse.transforms.events import PROVENANCE, silver_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

OF_TRUNCATE = ("event_date", *CHANGE_COLUMNS, *PROVENANCE)
"""What a row that a truncate took says of the truncate. Besides it has its key, and nothing else."""


def winner_per_key(valid: "DataFrame", contract: StreamContract) -> "DataFrame":
    """The winning row of each (event date, key), by event time, then topic generation, partition, offset.

    In `upsert` mode the latest wins, in `append` mode the first: what was appended stays. In `cdc` mode the latest row
    of each key wins, by the source's order; what comes before the strongest truncate is deleted by it. Whatever the
    mode, the order of arrival does not matter.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention
    from pyspark.sql.window import Window

    order = [F.col(c).desc() if contract.latest_wins else F.col(c).asc() for c in winning_order(contract)]
    window = Window.partitionBy(*contract.identity).orderBy(*order)
    won = valid.withColumn("_rank", F.row_number().over(window)).where("_rank = 1").drop("_rank")
    return _after_truncate(won, contract) if contract.applies_truncates else won


def winning_order(contract: StreamContract) -> list[str]:
    """Columns by which the winner among rows of one key is decided, most significant first."""
    return ["_position" if contract.is_cdc else contract.event_time, "_generation", "_partition", "_offset"]


def truncate_key(contract: StreamContract) -> str:
    """The column that is null in a truncate's row and in no other: no row without a key passes."""
    return contract.key[0]


def _after_truncate(won: "DataFrame", contract: StreamContract) -> "DataFrame":
    """One row per key as the strongest truncate leaves it: deleted by the truncate where it comes before it."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    place = ", ".join(winning_order(contract))
    theirs = ", ".join(f"_truncate.{name}" for name in winning_order(contract))
    strongest = won.where(f"`{truncate_key(contract)}` IS NULL").selectExpr(
        f"max_by(struct({', '.join(OF_TRUNCATE)}), struct({place})) AS _truncate"
    )
    is_taken = f"coalesce(struct({place}) < struct({theirs}), false)"
    values = {
        name: f"_truncate.{name}" if name in OF_TRUNCATE else f"`{name}`" if name in contract.key else "NULL"
        for name in silver_columns(contract)
    }
    return (
        won.crossJoin(F.broadcast(strongest))
        .selectExpr("*", f"{is_taken} AS _is_taken")
        .selectExpr(
            *(f"CASE WHEN _is_taken THEN {value} ELSE `{name}` END AS `{name}`" for name, value in values.items())
        )
    )
