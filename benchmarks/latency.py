"""How old an event is when it can be read: from the broker's timestamp to the commit, in a warm drain.

Every event of the measured time counts once, with the commit of its own batch.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, weighted_percentile
from benchmarks.workbench import BAD_SHARE, DUPLICATE_SHARE, Workbench, environment
from lakehouse.contracts.model import StreamContract
from lakehouse.lake.drain import drain
from lakehouse.lake.ledger import commits
from lakehouse.lake.reports import BatchReport

# Events per second and what the figures of that rate are called.
RATES = {"": 1_000, "_at_10k": 10_000}
_TARGETS = {
    ("bronze", ""): (1.0, 2.5), ("silver", ""): (2.0, None),
    ("bronze", "_at_10k"): (0.6, 1.2), ("silver", "_at_10k"): (1.2, 2.5),
}  # fmt: skip
_SPARE_SECONDS = 3
_Ages = list[tuple[float, int]]


def measure(bench: Workbench) -> list[Figure]:
    """Latency at steady rates, for bronze and silver."""
    return [figure for suffix, rate in RATES.items() for figure in _at(bench, rate, suffix)]


def _at(bench: Workbench, rate: int, suffix: str) -> list[Figure]:
    contract = bench.stream(f"live{suffix}")
    sizes = bench.sizes
    seconds = sizes.warm_seconds + sizes.live_seconds + _SPARE_SECONDS
    bench.say(f"latency: {rate:,} events/s for {seconds} s")
    reports: list[BatchReport] = []
    with _producer(bench, contract, rate, rate * seconds):
        began = time.time()
        drain(contract, bench.settings, budget_seconds=seconds, idle_seconds=seconds, report=reports.append)
    first = began + sizes.warm_seconds
    arrivals = _arrivals(bench, contract, first, first + sizes.live_seconds)
    events = sum(count for _, _, count in arrivals)
    bronze = _ages(arrivals, _bronze_commits(bench, contract))
    silver = _ages(arrivals, _silver_commits(bench, contract))
    floor = _smallest_batch(bench, contract)
    note = f"{events:,} events at {events / sizes.live_seconds:,.0f}/s"
    return [
        *_figures("bronze", suffix, bronze, floor, f"{note}; {_steps(reports, 'bronze', first)}"),
        *_figures("silver", suffix, silver, floor, f"{note}; {_steps(reports, 'silver', first)}"),
    ]


def _figures(layer: str, suffix: str, ages: _Ages, floor: float, note: str) -> list[Figure]:
    targets = _TARGETS[layer, suffix]
    return [
        Figure(
            f"{layer}_latency{suffix}_{name}_seconds",
            f"event → {layer} at {RATES[suffix]:,}/s, {name}",
            weighted_percentile(ages, share),
            "s",
            "lower",
            target=target,
            limit=floor if name == "p50" else None,
            limit_title="one batch, Kafka → plain Parquet",
            note=note if name == "p50" else "",
        )
        for name, share, target in (("p50", 0.5, targets[0]), ("p95", 0.95, targets[1]))
    ]


class _producer:  # noqa: N801 - used as a function
    """`lakehouse produce sales` as a process of its own, so that it takes nothing from the drain's interpreter."""

    def __init__(self, bench: Workbench, contract: StreamContract, rate: int, count: int) -> None:
        self._command = [
            str(Path(sys.executable).parent / "lakehouse"), "produce", "sales", "--topic", contract.topic.name,
            "--interval", str(1 / rate), "--count", str(count), "--seed", "11",
            "--bad-share", str(BAD_SHARE), "--duplicate-share", str(DUPLICATE_SHARE),
        ]  # fmt: skip
        self._environment = environment(bench.settings)

    def __enter__(self) -> None:
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


def _arrivals(bench: Workbench, contract: StreamContract, first: float, last: float) -> list[tuple[float, int, int]]:
    """(broker's time, bronze batch, events) of everything that arrived in the measured time."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    rows = bench.spark.read.format("delta").load(bench.paths.bronze(contract.name))
    moment = F.col("timestamp").cast("double")
    groups = rows.where((moment >= first) & (moment < last)).groupBy(moment.alias("moment"), "batch").count().collect()
    return [(row["moment"], row["batch"], row["count"]) for row in groups]


def _ages(arrivals: list[tuple[float, int, int]], readable: dict[int, float]) -> _Ages:
    return [(readable[batch] - moment, count) for moment, batch, count in arrivals]


def _visible(path: str, version: int) -> float:
    """When the commit could be read: its file's own time, which is later than the time that Delta wrote into it."""
    return (Path(path) / "_delta_log" / f"{version:020d}.json").stat().st_mtime


def _bronze_commits(bench: Workbench, contract: StreamContract) -> dict[int, float]:
    path = bench.paths.bronze(contract.name)
    return {
        commit.metadata["batch"]: _visible(path, commit.version)
        for commit in commits(path)
        if commit.metadata.get("kind") == "bronze"
    }


def _silver_commits(bench: Workbench, contract: StreamContract) -> dict[int, float]:
    """Per bronze batch the time when silver held it."""
    path = bench.paths.silver(contract.name)
    return {
        batch: _visible(path, commit.version)
        for commit in commits(path)
        if commit.metadata.get("kind") == "silver"
        for batch in _merged(commit.metadata["after"], commit.metadata["through"])
    }


def _merged(after: int, through: int) -> Iterator[int]:
    yield from range(after + 1, through + 1)


def _steps(reports: list[BatchReport], layer: str, first: float) -> str:
    """Median seconds of the layer's steps, in the first and the last third of the measured time."""
    steps = [report.seconds for report in reports if report.layer == layer and report.committed_at >= first]
    third = max(1, len(steps) // 3)
    return f"{len(steps)} commits, {median(steps[:third]):.2f} s each at first, {median(steps[-third:]):.2f} s at last"


def _smallest_batch(bench: Workbench, contract: StreamContract) -> float:
    """Seconds of one Spark job from Kafka to a plain Parquet file: no transaction, no plan, 1,000 rows."""
    target = f"{bench.paths.root}/limit_batch.parquet"
    seconds = []
    for number in range(10):
        began = time.monotonic()
        (
            bench.spark.read.format("kafka")
            .option("kafka.bootstrap.servers", bench.settings.kafka_bootstrap_servers)
            .option("subscribe", contract.topic.name)
            .option("startingOffsets", _same_for_all(contract, number * 100))
            .option("endingOffsets", _same_for_all(contract, number * 100 + 1_000 // contract.topic.partitions))
            .load()
            .coalesce(1)
            .write.mode("overwrite")
            .parquet(target)
        )
        seconds.append(time.monotonic() - began)
    return median(seconds[3:])


def _same_for_all(contract: StreamContract, offset: int) -> str:
    import json

    return json.dumps({contract.topic.name: {str(p): offset for p in range(contract.topic.partitions)}})
