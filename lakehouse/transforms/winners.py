"""Which row of a key is silver's: one rule for merges, rebuilds and proofs.

Here: the order of rows and choosing by it. Not here: parsing and judging (`transforms.events`), merging (`lake.merge`).
"""

from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.transforms.events import silver_columns

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


def repeated_keys(valid: "DataFrame", contract: StreamContract) -> "DataFrame":
    """Each (event date, key), in `cdc` mode each key, that more than one row has."""
    return valid.groupBy(*contract.identity).count().where("count > 1").drop("count")


def winners_of_repeated(valid: "DataFrame", repeated: "DataFrame", contract: StreamContract) -> "DataFrame":
    """`winner_per_key` when few rows share a key: only those are sorted, the others stay where they are.

    Args:
        valid: Rows to choose from.
        repeated: `repeated_keys(valid)`; small enough to be sent to every task.
        contract: The stream.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    identity = contract.identity
    few = F.broadcast(repeated)
    winners = winner_per_key(valid.join(few, identity, "left_semi"), contract)
    return valid.join(few, identity, "left_anti").unionByName(winners).select(*silver_columns(contract))


def winning_order(contract: StreamContract) -> list[str]:
    """Columns by which the winner among rows of one key is decided, most significant first."""
    return ["_position" if contract.is_cdc else contract.event_time, "_generation", "_partition", "_offset"]
