"""Records of a plan as rows of bronze.

Here: the read from Kafka. Not here: which offsets (`lake.planner`), where the rows go (`lake.bronze`).
"""

import json
import time
import uuid
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine import java_archive
from lakehouse.kafka.client import spark_options
from lakehouse.lake.plan import Plan
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

# Larger fetches than Kafka's defaults, but each partition's consumer keeps one fetched ahead: 16 MiB filled the heap.
_CONSUMER = {
    "kafka.max.partition.fetch.bytes": str(4 << 20),
    "kafka.fetch.max.bytes": str(32 << 20),
    # At the log's end a fetch ahead is in flight; the next micro-batch would wait for it, 500 ms by default.
    "kafka.fetch.max.wait.ms": "5",
    "kafka.isolation.level": "read_committed",
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

        rows = self._records(plan).select(
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
            F.lit(f"kafka://{self._contract.topic.name}").alias("_source_file"),
            F.lit(plan.day).alias("arrival_date"),
        )
        files = -(-plan.span // _ROWS_PER_FILE)
        return rows.coalesce(files) if files < len(plan.ranges) else rows

    def _records(self, plan: Plan) -> "DataFrame":
        """The records as they are, by a reader of ours where the session has it (`engine.java_archive`)."""
        topic, ranges = self._contract.topic.name, plan.ranges.items()
        options = spark_options(self._settings) | _CONSUMER
        if java_archive.is_there(self._spark):
            options |= {
                "topic": topic,
                "ranges": ",".join(f"{partition}:{start}:{end}" for partition, (start, end) in ranges),
                "reader": self._owner(plan),
            }
            return self._spark.read.format(java_archive.KAFKA).options(**options).load()
        options |= {
            "assign": json.dumps({topic: [partition for partition, _ in ranges]}),
            "startingOffsets": json.dumps({topic: {str(partition): start for partition, (start, _) in ranges}}),
            "endingOffsets": json.dumps({topic: {str(partition): end for partition, (_, end) in ranges}}),
            "kafka.group.id": self._owner(plan),
            # Spark's source fetches again for each poll.
            "kafka.max.poll.records": "5000",
            "failOnDataLoss": "true",
            "includeHeaders": "true",
        }
        return self._spark.read.format("kafka").options(**options).load()

    def _owner(self, plan: Plan) -> str:
        """Name under which Spark's executors keep this reader's consumers from one micro-batch to the next.

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
