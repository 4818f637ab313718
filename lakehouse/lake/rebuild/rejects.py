"""Quarantine of recomputed dates: what the contract of today rejects is there, what it passes is not.

Here: the two halves, one before silver is replaced and one after. Not here: judging, silver (`backfill`). Done again
they change nothing.
"""

from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.log.metadata import commits_say
from lakehouse.lake.paths import LakePaths
from lakehouse.quality.rules import date_list
from lakehouse.transforms.rejects import as_quarantine

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_SOURCE = "recomputed"
_IDENTITY = ("arrival_date", "topic_id", "partition", "offset")
_SAME = " AND ".join(f"t.{name} = s.{name}" for name in _IDENTITY)


def quarantine_failing(spark: "SparkSession", contract: StreamContract, paths: LakePaths, failing: "DataFrame") -> None:
    """Put judged records that are rejected into quarantine, with their reasons of today."""
    rewritten = ", ".join(f"{name} = s.{name}" for name in ("reasons", "error_type", "error_message", "record"))
    _merge(
        spark,
        contract,
        paths,
        as_quarantine(failing, contract),
        f"WHEN MATCHED AND t.reasons <> s.reasons THEN UPDATE SET {rewritten} WHEN NOT MATCHED THEN INSERT *",
    )


def release_passing(spark: "SparkSession", contract: StreamContract, paths: LakePaths, passing: "DataFrame") -> None:
    """Take judged records that pass out of quarantine."""
    identities = passing.selectExpr("arrival_date", *(f"_{name} AS {name}" for name in _IDENTITY[1:]))
    held = spark.read.format("delta").load(paths.quarantine(contract.name)).select(*_IDENTITY)
    _merge(spark, contract, paths, held.join(identities, list(_IDENTITY), "left_semi"), "WHEN MATCHED THEN DELETE")


def _merge(spark: "SparkSession", contract: StreamContract, paths: LakePaths, rows: "DataFrame", actions: str) -> None:
    days = sorted(row["arrival_date"] for row in rows.select("arrival_date").distinct().collect())
    if not days:
        return
    rows.createOrReplaceTempView(_SOURCE)
    with commits_say(spark, {"kind": "recomputed", "stream": contract.name}):
        spark.sql(
            f"MERGE INTO delta.`{paths.quarantine(contract.name)}` t USING {_SOURCE} s "
            f"ON t.arrival_date IN ({date_list(days)}) AND {_SAME} {actions}"
        ).collect()
