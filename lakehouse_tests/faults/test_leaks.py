"""500 micro-batches on a stack of its own: memory, files and threads of Spark and of the worker do not grow."""

import ctypes
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.engine.embedded import stack as embedded
from lakehouse.engine.embedded.java import find_java
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.soak.scratch import on_scratch, scratch
from lakehouse.settings import Settings
from lakehouse_tests.faults.story import assert_whole
from lakehouse_tests.streams import encode, sale, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(7_200)]
DRAINS, BATCHES, ROWS = 10, 50, 20
# Spark keeps what it knows of its last thousand jobs and queries; until these are full, memory grows by right.
WARM = 4
_MOST_COLLECTIONS = 8
_HEAP = re.compile(r"(?:PSYoungGen|ParOldGen)\s+total \d+K, used (\d+)K")
_METASPACE = re.compile(r"Metaspace\s+used (\d+)K")


@dataclass(frozen=True)
class Footprint:
    """What two processes hold; MB and counts.

    Spark's heap and metaspace are what a full collection leaves, the worker's memory what its allocator does not keep
    for later.
    """

    spark_heap: int
    spark_metaspace: int
    spark_rss: int
    spark_threads: int
    spark_files: int
    worker_rss: int
    worker_threads: int
    worker_files: int


# How much more the last drain may leave than a warm one. An open file or thread per batch would be 300.
MOST_GROWTH = Footprint(
    spark_heap=60,
    spark_metaspace=30,
    spark_rss=300,
    spark_threads=20,
    spark_files=40,
    worker_rss=60,
    worker_threads=5,
    worker_files=10,
)


def measured(settings: Settings, jcmd: Path) -> Footprint:
    """The footprint now, after both processes have given back what they do not need."""
    pid = next(entry.pid for entry in embedded.status(settings) if entry.name == "spark")

    def ask(command: str) -> str:
        return subprocess.run(
            [str(jcmd), str(pid), command], capture_output=True, text=True, check=True, timeout=120
        ).stdout

    def collected() -> int:
        ask("GC.run")
        return sum(int(used) for used in _HEAP.findall(ask("GC.heap_info"))) >> 10

    # A first collection tells Spark what nobody holds any more; only then it lets go of the rows behind it.
    rest = collected()
    for _ in range(_MOST_COLLECTIONS):
        before, rest = rest, collected()
        if rest > before - 2:
            break
    heap = ask("GC.heap_info")
    metaspace = _METASPACE.search(heap)
    assert metaspace is not None, heap
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    spark, worker = psutil.Process(pid), psutil.Process()
    return Footprint(
        spark_heap=rest,
        spark_metaspace=int(metaspace[1]) >> 10,
        spark_rss=spark.memory_info().rss >> 20,
        spark_threads=spark.num_threads(),
        spark_files=spark.num_fds(),
        worker_rss=worker.memory_info().rss >> 20,
        worker_threads=worker.num_threads(),
        worker_files=worker.num_fds(),
    )


def test_500_batches_leave_nothing_behind() -> None:
    contract, _ = on_scratch(load_stream("sales"))
    with scratch(print) as place:
        jcmd = find_java(place.settings).path.parent / "jcmd"
        if not jcmd.is_file():
            pytest.skip("this Java has no jcmd")
        apply_topics(place.settings, desired_topics([contract]))
        small = place.settings.model_copy(update={"max_batch_rows": ROWS})
        found: list[Footprint] = []
        batches = 0
        for number in range(DRAINS):
            per_drain = BATCHES * ROWS
            send(small, contract.topic.name, [encode(sale(number * per_drain + n)) for n in range(per_drain)])
            batches += drain(contract, small, budget_seconds=1_800, idle_seconds=0).batches
            found.append(measured(small, jcmd))
            print(f"{batches} batches: {found[-1]}", flush=True)
        assert_whole(contract, small, DRAINS * BATCHES * ROWS)
    assert batches >= DRAINS * BATCHES
    # What is resident goes up and down by hundreds of MB with what the kernel takes away and Java asks for again.
    warm = {name: max(getattr(entry, name) for entry in found[:WARM]) for name in asdict(MOST_GROWTH)}
    last, allowed = asdict(found[-1]), asdict(MOST_GROWTH)
    grown = {name: last[name] - warm[name] for name in last if last[name] - warm[name] > allowed[name]}
    assert grown == {}, f"after {WARM * BATCHES} batches {warm}, after {batches} {last}"
