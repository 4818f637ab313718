"""The pipeline's own figures, out of broker and Delta logs: throughput, latency, lag, freshness. No JVM, no Dagster.

Here: measuring. Not here: the machine (`ops.host`), Dagster's runs (`components.run_metrics`), what is too much.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from lakehouse.contracts.model import StreamContract
from lakehouse.errors import BrokerUnreachableError, LakehouseError
from lakehouse.kafka.client import admin_client, require_reachable
from lakehouse.lake.ledger import commits, last_plan
from lakehouse.lake.monitoring.progress import backlog
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.tally import Totals, oldest_age
from lakehouse.ops.host import sample_host
from lakehouse.ops.samples import Sample
from lakehouse.ops.spark_metrics import sample_spark
from lakehouse.settings import Settings

WINDOW = timedelta(minutes=10)
"""Throughput and latency speak of the micro-batches of this time; without any, nothing is said."""


@dataclass(frozen=True)
class Lag:
    """How far one stream is behind.

    Attributes:
        stream: Its name.
        topic: Its topic.
        rows: Records on the broker that bronze has not; None when the broker could not say.
        silver_batches: Bronze batches that silver has not merged.
        last_commit: Time of bronze's last commit.
        by_partition: Per partition: next offset to read.
        problem: Why there is no figure.
    """

    stream: str
    topic: str
    rows: int | None
    silver_batches: int
    last_commit: datetime | None
    by_partition: dict[int, int]
    problem: str = ""


def lag(contract: StreamContract, settings: Settings) -> Lag:
    """Compare the broker's end offsets with what bronze has committed, as sensors do; groups are not asked."""
    known = last_plan(LakePaths.of(settings).bronze(contract.name))
    committed_at = known[1].committed_at if known else None
    try:
        waiting = backlog(contract, settings)
    except LakehouseError as error:
        return Lag(contract.name, contract.topic.name, None, 0, committed_at, {}, error.one_line())
    behind = max(0, waiting.last_batch - waiting.silver_batch)
    return Lag(contract.name, contract.topic.name, waiting.total, behind, committed_at, waiting.committed)


def sample_pipeline(contracts: Iterable[StreamContract], settings: Settings, *, now: datetime) -> list[Sample]:
    """Lag, freshness, throughput and latency of every stream; a part that does not answer is `service_up` 0."""
    samples: list[Sample] = []
    streams, is_up = list(contracts), _broker_answers(settings)
    for contract in streams:
        samples += sample_commits(contract, LakePaths.of(settings), now=now)
        found = lag(contract, settings) if is_up else None
        if found is not None and found.rows is not None:
            labels = {"stream": contract.name}
            samples.append(Sample("consumer_lag_rows", found.rows, labels, now))
            samples.append(Sample("silver_behind_batches", found.silver_batches, labels, now))
    samples += sample_partitions({contract.topic.name for contract in streams}, settings, now=now) if is_up else []
    return [*samples, Sample("service_up", float(is_up), {"service": "kafka"}, now)]


def _broker_answers(settings: Settings) -> bool:
    try:
        require_reachable(settings)
    except BrokerUnreachableError:
        return False
    return True


def sample_commits(contract: StreamContract, paths: LakePaths, *, now: datetime) -> list[Sample]:
    """What the Delta logs say: freshness of both tables, latency and throughput of bronze within the last `WINDOW`.

    Latency is what 95 % of the rows stayed under, by the oldest record of their batch.
    """
    samples = []
    for layer, path in (("bronze", paths.bronze(contract.name)), ("silver", paths.silver(contract.name))):
        newest = next((commit for commit in commits(path) if commit.metadata.get("kind") == layer), None)
        if newest is None:
            continue
        labels = {"stream": contract.name, "table": f"{layer}.{contract.name}"}
        age = max(0.0, (now - newest.committed_at).total_seconds())
        samples.append(Sample("freshness_seconds", age, labels, now))
    recent = [
        commit
        for commit in takewhile(lambda known: now - known.committed_at <= WINDOW, commits(paths.bronze(contract.name)))
        if commit.metadata.get("kind") == "bronze"
    ]
    if not recent:
        return samples
    labels = {"stream": contract.name}
    rows = sum(int(commit.metrics.get("numOutputRows", 0)) for commit in recent)
    ages = [(oldest_age(commit), int(commit.metrics.get("numOutputRows", 0))) for commit in recent]
    worst = Totals(ages=[(age, count) for age, count in ages if age is not None]).age(0.95)
    if worst is not None:
        samples.append(Sample("latency_seconds", worst, labels, now))
    seconds = max(1.0, (recent[0].committed_at - recent[-1].committed_at).total_seconds())
    samples.append(Sample("throughput_rows_per_second", rows / seconds, labels, now))
    return samples


def sample_partitions(topics: set[str], settings: Settings, *, now: datetime) -> list[Sample]:
    """Partitions without a leader, and with replicas out of sync, of these topics."""
    from confluent_kafka import KafkaException

    try:
        known: dict[str, Any] = admin_client(settings).list_topics(timeout=10).topics
    except (KafkaException, LakehouseError):
        return []
    samples = []
    for name in sorted(topics & set(known)):
        parts = known[name].partitions.values()
        labels = {"topic": name}
        offline = sum(part.leader < 0 for part in parts)
        behind = sum(len(part.isrs) < len(part.replicas) for part in parts)
        samples.append(Sample("offline_partitions", float(offline), labels, now))
        samples.append(Sample("under_replicated_partitions", float(behind), labels, now))
    return samples


def sample_quality(paths: LakePaths, *, now: datetime) -> list[Sample]:
    """Checks of the latest quality run of each table that found wrong data; 1 for each, with its message."""
    from lakehouse.lake.quality.store import results_since

    rows = results_since(paths, (now - timedelta(days=1)).date())
    newest: dict[tuple[str, str], dict[str, Any]] = {(row["table_name"], row["check_name"]): row for row in rows}
    return [
        Sample("data_quality_findings", 1.0, {"table": table, "check": check, "reason": row["message"][:300]}, now)
        for (table, check), row in newest.items()
        if not row["passed"] and row["severity"] in ("error", "critical")
    ]


def sample_all(contracts: Iterable[StreamContract], settings: Settings, *, now: datetime | None = None) -> list[Sample]:
    """Machine, pipeline, Spark and quality at one moment."""
    moment, streams = now or datetime.now(UTC), list(contracts)
    paths = LakePaths.of(settings)
    return [
        *sample_host(paths.reports, now=moment),
        *sample_pipeline(streams, settings, now=moment),
        *(sample_spark(settings.spark_ui, now=moment) if settings.spark_ui else []),
        *sample_quality(paths, now=moment),
    ]
