"""Records of a plan as rows of bronze.

Here: the read from Kafka. Not here: which offsets (`lake.planner`), where the rows go (`lake.bronze`).
"""

import json
import time
import uuid
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.client import spark_options
from lakehouse.lake.plan import Plan
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

# Larger fetches than Kafka's defaults, but each partition's consumer keeps one fetched ahead: 16 MiB filled the heap.
_FETCH = {
    "kafka.max.poll.records": "5000",
    "kafka.max.partition.fetch.bytes": str(4 << 20),
    "kafka.fetch.max.bytes": str(32 << 20),
    # At the log's end a fetch ahead is in flight; the next micro-batch would wait for it, 500 ms by default.
    "kafka.fetch.max.wait.ms": "5",
    "kafka.isolation.level": "read_committed",
    "failOnDataLoss": "true",
    "includeHeaders": "true",
}
_ROWS_PER_FILE = 60_000


class RecordReader:
    """Reads one stream's topic. Spark's executors keep its consumers from one micro-batch to the next."""

    def __init__(self, contract: StreamContract, settings: Settings, spark: "SparkSession") -> None:
        self._contract = contract
        self._settings = settings
        self._spark = spark
        self._id = uuid.uuid4().hex

    def read(self, plan: Plan) -> "DataFrame":
        """The records of a plan as rows of bronze; lazy."""
        from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

        topic = self._contract.topic.name
        ranges = plan.ranges
        records = (
            self._spark.read.format("kafka")
            .options(**spark_options(self._settings), **_FETCH)
            .option("kafka.group.id", self._group(plan))
            .option("assign", json.dumps({topic: sorted(ranges)}))
            .option("startingOffsets", json.dumps({topic: {str(p): r[0] for p, r in ranges.items()}}))
            .option("endingOffsets", json.dumps({topic: {str(p): r[1] for p, r in ranges.items()}}))
            .load()
        )
        rows = records.select(
            F.lit(plan.topic_id).alias("topic_id"),
            "partition",
            "offset",
            "timestamp",
            F.col("timestampType").alias("timestamp_type"),
            "key",
            "value",
            "headers",
            _constant(F.lit(plan.batch).cast("bigint")).alias("batch"),
            # Not F.lit(datetime): it asks the thread's first session about time zones, which may be gone.
            _constant(F.timestamp_micros(F.lit(time.time_ns() // 1_000))).alias("_ingested_at"),
            F.lit(f"kafka://{topic}").alias("_source_file"),
            F.lit(plan.day).alias("arrival_date"),
        )
        files = -(-plan.span // _ROWS_PER_FILE)
        return rows.coalesce(files) if files < len(ranges) else rows

    def _group(self, plan: Plan) -> str:
        """Name under which Spark's executors keep their consumers from one micro-batch to the next.

        Not a consumer group that commits offsets. It is this reader's alone and the topic generation's alone: what was
        fetched ahead from a topic that was deleted since can never be taken for records of its successor.
        """
        return f"lakehouse-reader-{plan.stream}-{plan.topic_id}-{self._id}"


def _constant(literal: "Column") -> "Column":
    """A literal that differs from batch to batch, as data instead of as part of the generated code.

    Spark writes plain numbers and times into the code of a query: each batch would be compiled, and warmed up, as a new
    program. An element of a constant array is looked up; the index is always 0, but the optimizer cannot know.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    return F.get(F.array(literal), F.least(F.col("partition"), F.lit(0)))
