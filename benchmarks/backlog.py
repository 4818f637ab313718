"""A backlog far larger than any batch: does memory stay bounded while bronze takes it?"""

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import psutil

from benchmarks.figures import Figure
from benchmarks.workbench import Workbench
from lakehouse.engine.embedded.stack import status
from lakehouse.lake.schema.tables import ensure_tables

_SAMPLE_SECONDS = 0.2


@dataclass
class Watch:
    """Memory of processes, sampled in a thread while the block runs; MB by name, in the order of time."""

    processes: dict[str, psutil.Process]
    samples: dict[str, list[float]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            for name, process in self.processes.items():
                self.samples.setdefault(name, []).append(process.memory_info().rss / 2**20)
            if self._stop.wait(_SAMPLE_SECONDS):
                return


def measure(bench: Workbench) -> list[Figure]:
    """Rows per second to bronze and the most memory of broker, Spark and worker meanwhile."""
    events = bench.sizes.large_backlog
    contract = bench.stream("large_backlog")
    bench.fill(contract, events)
    bench.say(f"backlog: {events:,} events to bronze")
    ensure_tables(bench.spark, contract, bench.paths)
    processes = {entry.name: psutil.Process(entry.pid) for entry in status(bench.settings)}
    with Watch({**processes, "worker": psutil.Process()}) as watch:
        began = time.monotonic()
        taken = bench.catch_up(contract)
        seconds = time.monotonic() - began
    assert taken == events
    sums = [sum(at_once) for at_once in zip(*watch.samples.values(), strict=True)]
    half = len(sums) // 2
    each = ", ".join(f"{name} {max(values):,.0f}" for name, values in watch.samples.items())
    note = f"{events:,} events in batches of {bench.settings.max_batch_rows:,}"
    return [
        Figure(
            "large_backlog_rows_per_second",
            "bronze catching up a backlog larger than memory",
            taken / seconds,
            "rows/s",
            "higher",
            target=450_000,
            note=note,
        ),
        Figure(
            "large_backlog_mb",
            "the most that broker, Spark and worker had meanwhile",
            max(sums),
            "MB",
            "lower",
            target=3_584,
            note=f"the most of each: {each}",
        ),
        Figure(
            "large_backlog_growth",
            "the most of the second half ÷ the most of the first",
            max(sums[half:]) / max(sums[:half] or sums),
            "x",
            "lower",
            target=1.2,
        ),
    ]
