"""A stream's history against its definition: the versions that all changes in bronze make, anew.

Here: one comparison. Not here: what a version is (`transforms.versions`).
"""

from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import materialised
from lakehouse.lake.history import from_bronze, held_through
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.lake.proofs.compare import Sides, fingerprints, sentences
from lakehouse.lake.proofs.finding import Finding
from lakehouse.transforms.versions import history_columns

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def prove_history(spark: "SparkSession", contract: StreamContract, paths: LakePaths, *, through: int) -> list[Finding]:
    """Compare the history with its rebuild; `through` is the last bronze batch that silver holds."""
    path = paths.history(contract.name)
    held = held_through(path) if table_exists(path) else -1
    if held < through:
        problem = f"holds bronze through batch {held}, silver through batch {through}; a drain brings it up"
        return [Finding(contract.name, "history", problem)]
    columns = history_columns(contract)
    actual = materialised(spark.read.format("delta").load(path).select(*columns))
    # A crash between the two commits leaves the history ahead of silver.
    expected = materialised(from_bronze(spark, contract, paths, held).select(*columns))
    found = fingerprints({"held": (actual, "event_date"), "rebuilt": (expected, "event_date")})
    sides = Sides(actual, expected, "event_date", contract.topic.name)
    texts = sentences("changes of", "rows", found["held"], found["rebuilt"], sides)
    return [Finding(contract.name, "history", text) for text in texts]
