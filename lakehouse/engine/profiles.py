"""The two profiles of Spark: `local`, one machine with two cores, and `cluster`, the batch cluster named BatchETL.

Here: settings of servers and of sessions, by profile. Not here: how large a cluster should be (`engine.sizing`), the
embedded server's own settings (`engine.embedded.spark`).
"""

from pathlib import Path
from typing import Literal

Profile = Literal["local", "cluster"]

COMMON_CONF: dict[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    # A bad value becomes null and is judged by the stream's rules; it must not end the batch.
    "spark.sql.ansi.enabled": "false",
    # Spark would rewrite from_json(…).field into one parse per field: half the speed (DESIGN: parse once).
    "spark.sql.optimizer.enableJsonExpressionOptimization": "false",
    # What is known of a column is followed through every expression made of it: seconds of planning wherever judged
    # rows are joined. Our own queries say of both sides of a join what is to be read.
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.maxConcurrentOutputFileWriters": "64",
    # Spark's default list has `kafka`, too: its first interface makes an object of each record, and a row of that.
    "spark.sql.sources.useV1SourceList": "avro,csv,json,orc,parquet,text",
    # Every commit computes the state of the table anew, a job of many small parts: one task costs the least.
    "spark.databricks.delta.snapshotPartitions": "1",
    # Delta would refuse versions older than the retention even while their files are there. Gold may stand at one:
    # vacuum spares it (lake.maintenance.vacuum), and verify must be able to read it.
    "spark.databricks.delta.vacuum.enforceTimeTravelWithinDeletedFileRetentionDuration": "false",
    # As Delta writes them; the default of plain Parquet files is a type without statistics.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
}
"""Settings of every session, whatever the profile."""

USERS_SQL_CONF = {"spark.sql.constraintPropagation.enabled": "true"}
"""What a session adds that runs the SQL of pipelines: a condition on one side of a join then holds for the other."""

LOCAL_CONF = {
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.shuffle.partitions": "4",
}

CLUSTER_CONF = {
    "spark.app.name": "BatchETL",
    "spark.driver.memory": "4g",
    "spark.executor.memory": "8g",
    "spark.executor.cores": "4",
    "spark.dynamicAllocation.enabled": "true",
    # Without an external shuffle service the executors that hold shuffle files are kept instead.
    "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    "spark.dynamicAllocation.minExecutors": "2",
    "spark.dynamicAllocation.maxExecutors": "20",
    "spark.sql.shuffle.partitions": "200",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.coalescePartitions.enabled": "true",
    "spark.sql.autoBroadcastJoinThreshold": "100m",
    "spark.sql.join.preferSortMergeJoin": "true",
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
}
"""What `infra/spark/spark-defaults.conf` gives a cluster's Spark Connect server."""


STREAMING_CONF = {
    "spark.streaming.stopGracefullyOnShutdown": "true",
    "spark.streaming.kafka.maxRatePerPartition": "1000",
    "spark.sql.streaming.metricsEnabled": "true",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.coalescePartitions.enabled": "true",
}
"""What a server gives to streaming queries that somebody else runs on it; ours are batches, with their own figures.

Of servers only: saying them again in each session would cost every drain, and change nothing.
"""


def event_log_conf(folder: Path) -> dict[str, str]:
    """Settings that make a server write what its jobs did, for Spark's history server."""
    return {"spark.eventLog.enabled": "true", "spark.eventLog.dir": folder.as_uri(), "spark.eventLog.compress": "true"}


def server_conf(profile: Profile) -> dict[str, str]:
    """What a server of the profile is started with besides its own address and jars."""
    return (CLUSTER_CONF if profile == "cluster" else LOCAL_CONF) | COMMON_CONF


def session_conf(profile: Profile) -> dict[str, str]:
    """What each session says again: a server that somebody else started may have other defaults."""
    return {name: value for name, value in server_conf(profile).items() if name.startswith("spark.sql.")} | COMMON_CONF


def spark_defaults() -> str:
    """`CLUSTER_CONF` and `STREAMING_CONF` as the text of a `spark-defaults.conf`."""
    conf = CLUSTER_CONF | STREAMING_CONF
    width = max(map(len, conf)) + 2
    return "".join(f"{key:<{width}}{value}\n" for key, value in conf.items())
