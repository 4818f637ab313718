"""Which row of a key is silver's: one rule for merges, rebuilds and proofs.

Here: the order of rows and choosing by it. Not here: parsing and judging (`transforms.events`), merging (`lake.merge`).
"""

from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def winner_per_key(valid: "DataFrame", contract: StreamContract) -> "DataFrame":
    """The winning row of each (event date, key), by event time, then topic generation, partition, offset.

    In `upsert` mode the latest wins, in `append` mode the first: what was appended stays. In `cdc` mode the latest row
    of each key wins, by the source's order. Whatever the mode, the order of arrival does not matter.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention
    from pyspark.sql.window import Window

    order = [F.col(c).desc() if contract.latest_wins else F.col(c).asc() for c in winning_order(contract)]
    window = Window.partitionBy(*contract.identity).orderBy(*order)
    return valid.withColumn("_rank", F.row_number().over(window)).where("_rank = 1").drop("_rank")


def winning_order(contract: StreamContract) -> list[str]:
    """Columns by which the winner among rows of one key is decided, most significant first."""
    return ["_position" if contract.is_cdc else contract.event_time, "_generation", "_partition", "_offset"]
