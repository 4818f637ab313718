"""One measured figure with its labels. Here: its shape and the metrics that exist. Not here: measuring, publishing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple


class Metric(NamedTuple):
    """What a metric says, and in which unit. Every metric is a gauge: its value now."""

    help: str
    unit: str


METRICS: dict[str, Metric] = {
    "cpu_percent": Metric("Processor time in use, of all cores.", "percent"),
    "memory_percent": Metric("Memory in use.", "percent"),
    "disk_percent": Metric("Space in use on the disk that holds the lake.", "percent"),
    "latency_seconds": Metric("Time from broker to bronze that 95 % of the latest rows stayed under.", "seconds"),
    "throughput_rows_per_second": Metric(
        "Rows committed to bronze per second, of the latest micro-batches.", "rows per second"
    ),
    "consumer_lag_rows": Metric("Records on the broker that bronze has not.", "rows"),
    "silver_behind_batches": Metric("Bronze batches that silver has not merged.", "batches"),
    "offline_partitions": Metric("Partitions without a leader.", "partitions"),
    "under_replicated_partitions": Metric("Partitions with fewer replicas in sync than they have.", "partitions"),
    "freshness_seconds": Metric("Time since the last commit to the table.", "seconds"),
    "run_seconds": Metric("Duration of the latest run of a job; of a live one so far.", "seconds"),
    "run_success_ratio": Metric("Share of a job's runs of the last day that succeeded, 0 to 1.", "ratio"),
    "runs_finished": Metric("A job's runs of the last day that ended.", "runs"),
    "run_failed": Metric("A run that failed for good; 1 for each.", "runs"),
    "data_quality_findings": Metric("Checks of the latest quality run that found wrong data.", "checks"),
    "spark_executors": Metric("Executors of Spark that work; 1 where the server works itself.", "executors"),
    "spark_active_tasks": Metric("Tasks of Spark that run now.", "tasks"),
    "spark_completed_tasks": Metric("Tasks that Spark completed since it started.", "tasks"),
    "spark_failed_tasks": Metric("Tasks of Spark that failed since it started.", "tasks"),
    "spark_memory_bytes": Metric("Memory in which Spark keeps rows.", "bytes"),
    "spark_memory_limit_bytes": Metric("Memory in which Spark may keep rows.", "bytes"),
    "spark_peak_heap_bytes": Metric("Most heap that Spark's processes used since they started.", "bytes"),
    "service_up": Metric("Whether a part answers: 1 or 0.", "bool"),
}


@dataclass(frozen=True)
class Sample:
    """A figure at a time.

    Attributes:
        metric: One of `METRICS`.
        value: In the metric's unit.
        labels: What it is of: stream, host, job, table, …
        at: When it was measured (UTC).
    """

    metric: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"{self.metric!r} is no known metric; add it to lakehouse.ops.samples.METRICS")
        # Counts come as whole numbers; whoever reads a sample may rely on a float.
        object.__setattr__(self, "value", float(self.value))

    def as_event(self, host: str) -> dict[str, Any]:
        """As it goes to the topic `system-metrics`. Its id is the same for the same figure at the same time."""
        import json
        import uuid

        labels = json.dumps(dict(sorted(self.labels.items())))
        at = self.at.isoformat(timespec="milliseconds")
        return {
            "sample_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{host}|{self.metric}|{labels}|{at}")),
            "sampled_at": at,
            "host": host,
            "metric": self.metric,
            "value": self.value,
            "unit": METRICS[self.metric].unit,
            "labels": labels,
        }
