"""Lost data files of bronze, read again from Kafka under their old batch numbers.

Here: which offsets a lost file held, and appending them again. Not here: anything else that repair does.
"""

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import connect, spark_errors
from lakehouse.kafka.offsets import TopicReader, TopicState
from lakehouse.lake.guards.durable import settled
from lakehouse.lake.ledger import plans
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.plan import Plan
from lakehouse.lake.proofs.bronze import missing_ranges
from lakehouse.lake.records import RecordReader
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_IDENTITY = ["topic_id", "partition", "offset"]


def refetch(contract: StreamContract, settings: Settings, names: list[str]) -> tuple[int, list[str]]:
    """Take lost files out of bronze's log and append their records again, as far as the broker has them.

    Args:
        contract: The stream.
        settings: Lake, brokers, Spark.
        names: Files, relative to the table, that are gone.

    Returns:
        Rows appended, and one sentence per range of offsets that is lost for good.
    """
    path = LakePaths.of(settings).bronze(contract.name)
    first, last = _batches(path, names)
    _forget(path)
    wanted = [plan for plan, _ in plans(path) if first <= plan.batch <= last and plan.gap is None][::-1]
    spark = connect(settings.spark_remote)
    rows, lost = 0, []
    try:
        with TopicReader(settings) as topics, spark_errors(), settled(settings, path):
            state = topics.state(contract.topic.name)
            reader = RecordReader(contract, settings, spark)
            for plan in wanted:
                held = spark.read.format("delta").load(path).where(f"batch = {plan.batch}")
                readable = _readable(plan, state)
                rows += _append_again(spark, contract, settings, reader, readable, held)
                lost += _gone(plan, readable, held)
    finally:
        spark.stop()
    return rows, lost


def _batches(path: str, names: list[str]) -> tuple[int, int]:
    """The first and the last batch of which the files held rows, by their statistics."""
    from deltalake import DeltaTable

    wanted = set(names)
    adds = DeltaTable(path).get_add_actions(flatten=True)
    columns = (adds["path"].to_pylist(), adds["min.batch"].to_pylist(), adds["max.batch"].to_pylist())
    mine = [(low, high) for name, low, high in zip(*columns, strict=True) if name in wanted]
    return min(low for low, _ in mine), max(high for _, high in mine)


def _forget(path: str) -> None:
    """Remove from the log what is not there; the only change to bronze that is no append."""
    from deltalake import DeltaTable

    DeltaTable(path).repair(dry_run=False)


def _readable(plan: Plan, state: TopicState) -> Plan:
    """The part of a plan that the broker still has."""
    if plan.topic_id != state.topic_id:
        return replace(plan, start=plan.end)
    start = {p: min(plan.end[p], max(plan.start[p], state.start.get(p, 0))) for p in plan.end}
    return replace(plan, start=start)


def _append_again(
    spark: "SparkSession",
    contract: StreamContract,
    settings: Settings,
    reader: RecordReader,
    plan: Plan,
    held: "DataFrame",
) -> int:
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    if not plan.ranges:
        return 0
    paths = LakePaths.of(settings)
    rows = reader.read(plan).join(held.select(*_IDENTITY), _IDENTITY, "left_anti")
    ingested = _ingested(spark, contract, paths, plan.batch)
    if ingested is not None:
        # The batch keeps its time: silver's rows carry it, and silver equals what bronze makes of it.
        rows = rows.withColumn("_ingested_at", F.timestamp_micros(F.lit(ingested)))
    columns = spark.read.format("delta").load(paths.bronze(contract.name)).columns
    metadata = {"kind": "repair", "stream": contract.name, "batch": plan.batch}
    before = held.count()
    writing = rows.select(*columns).write.format("delta").mode("append")
    writing.option("userMetadata", json.dumps(metadata)).save(paths.bronze(contract.name))
    return int(held.count() - before)


def _ingested(spark: "SparkSession", contract: StreamContract, paths: LakePaths, batch: int) -> int | None:
    """When the batch was ingested (microseconds since 1970), from any row of it that is left."""
    for path, column in ((paths.bronze(contract.name), "batch"), (paths.silver(contract.name), "_batch")):
        rows = spark.read.format("delta").load(path).where(f"{column} = {batch}")
        found = rows.selectExpr("unix_micros(_ingested_at) AS at").limit(1).collect()
        if found:
            return int(found[0]["at"])
    return None


def _gone(plan: Plan, readable: Plan, held: "DataFrame") -> list[str]:
    lost = []
    for partition, (first, _) in plan.ranges.items():
        end = readable.start[partition]
        if first < end:
            part = held.where(f"partition = {partition} AND offset < {end}")
            lost += [
                f"batch {plan.batch}, partition {partition}: offsets {a} to {b - 1}"
                for a, b in missing_ranges(part, first, end)
            ]
    return lost
