"""How the cost of a batch grows: with its rows, the topic's partitions, the event dates it touches, streams at once.

Each figure is the median of warm repetitions. Not here: growth with the table's history (`history`).
"""

import threading
import time
from collections.abc import Callable
from itertools import count
from statistics import median

from benchmarks.figures import Figure
from benchmarks.workbench import Workbench
from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.client import producer_config
from lakehouse.kafka.offsets import TopicReader
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.bronze import BronzeWriter
from lakehouse.lake.drain import drain
from lakehouse.lake.schema.tables import ensure_tables
from lakehouse.lake.silver import SilverWriter
from lakehouse.sources.producer import EventSender, run
from lakehouse.sources.sales import SalesGenerator

_PASSES = 4
_ROWS = 20_000
_DAY = 86_400.0


def measure(bench: Workbench) -> list[Figure]:
    """All growth figures."""
    return [*_by_rows(bench), *_by_partitions(bench), *_by_days(bench), *_by_streams(bench), *_into_a_large_day(bench)]


def _by_rows(bench: Workbench) -> list[Figure]:
    figures = []
    for rows in (1_000, 10_000, 100_000):
        bench.say(f"growth: batches of {rows:,} rows")
        contract = _new(bench, f"rows{rows}")
        bronze, silver = _batches(bench, contract, rows, SalesGenerator(seed=1))
        figures += [
            Figure(f"bronze_{rows}_rows_seconds", f"bronze batch of {rows:,} rows", bronze, "s", "lower"),
            Figure(f"silver_{rows}_rows_seconds", f"silver step of {rows:,} rows", silver, "s", "lower"),
        ]
    return figures


def _by_partitions(bench: Workbench) -> list[Figure]:
    figures = []
    for partitions in (1, 6, 24):
        bench.say(f"growth: {partitions} partitions")
        contract = _new(bench, f"partitions{partitions}", partitions=partitions)
        bronze, _ = _batches(bench, contract, _ROWS, SalesGenerator(seed=2))
        title = f"bronze batch of {_ROWS:,} rows from {partitions} partition{'s' if partitions > 1 else ''}"
        figures.append(Figure(f"bronze_{partitions}_partitions_seconds", title, bronze, "s", "lower"))
    return figures


def _by_days(bench: Workbench) -> list[Figure]:
    figures = []
    for days in (1, 7, 30):
        bench.say(f"growth: {days} event dates")
        contract = _new(bench, f"days{days}")
        _, silver = _batches(bench, contract, _ROWS, SalesGenerator(seed=3, now=_over(days)))
        title = f"silver step of {_ROWS:,} rows over {days} event date{'s' if days > 1 else ''}"
        figures.append(Figure(f"silver_{days}_dates_seconds", title, silver, "s", "lower"))
    return figures


def _by_streams(bench: Workbench) -> list[Figure]:
    """Several drains at once share two cores: what matters is the work that gets done in all."""
    figures = []
    for streams in (1, 3):
        bench.say(f"growth: {streams} streams at once")
        contracts = [_new(bench, f"streams{streams}_{number}") for number in range(streams)]
        for contract in contracts:
            _send(bench, contract, SalesGenerator(seed=4), 5 * _ROWS)
        drains = [threading.Thread(target=_drain, args=(bench, contract)) for contract in contracts]
        began = time.monotonic()
        for thread in drains:
            thread.start()
        for thread in drains:
            thread.join()
        rate = streams * 5 * _ROWS / (time.monotonic() - began)
        title = f"drains of {streams} stream{'s' if streams > 1 else ''} at once, all rows together"
        figures.append(Figure(f"drain_{streams}_streams_rows_per_second", title, rate, "rows/s", "higher"))
    return figures


def _into_a_large_day(bench: Workbench) -> list[Figure]:
    """4,000 rows merged into a day that holds a million; every second time their keys are there already."""
    bench.say(f"growth: merges of 4,000 rows into a day of {bench.sizes.events:,}")
    contract = _new(bench, "large_day")
    _send(bench, contract, SalesGenerator(seed=5), bench.sizes.events)
    _drain(bench, contract)
    seconds = []
    # One writer, as in a drain: what it learned of a file's keys it knows at the next step.
    writer = SilverWriter(contract, bench.settings, bench.spark)
    with TopicReader(bench.settings) as topics:
        for number in range(_PASSES):
            _send(bench, contract, SalesGenerator(seed=100 + number // 2), 4_000)
            _append(bench, contract, topics, 4_000)
            seconds.append(_timed(lambda: _merge(writer, 4_000)))
    return [
        Figure(
            "merge_into_large_day_seconds",
            f"silver step of 4,000 rows into a day of {bench.sizes.events:,}",
            median(seconds[1:]),
            "s",
            "lower",
            target=1.0,
            note=f"judging too; {seconds[0]:.2f} s the first, which reads the day's keys; every second batch sends the "
            "orders of the one before again",
        )
    ]


def _batches(bench: Workbench, contract: StreamContract, rows: int, events: SalesGenerator) -> tuple[float, float]:
    """Median seconds of a bronze batch and of the silver step after it, the first of them left out."""
    ensure_tables(bench.spark, contract, bench.paths)
    bronze, silver = [], []
    writer = SilverWriter(contract, bench.settings, bench.spark)
    with TopicReader(bench.settings) as topics:
        for _ in range(_PASSES):
            _send(bench, contract, events, rows)
            bronze.append(_timed(lambda: _append(bench, contract, topics, rows)))
            silver.append(_timed(lambda: _merge(writer, rows)))
    return median(bronze[1:]), median(silver[1:])


def _append(bench: Workbench, contract: StreamContract, topics: TopicReader, rows: int) -> None:
    writer = BronzeWriter(contract, bench.settings, bench.spark, topics)
    plan, waiting = writer.plan(rows)
    assert plan is not None
    assert bench.append(writer, plan, waiting) == rows


def _merge(writer: SilverWriter, rows: int) -> None:
    step = writer.next_step(rows)
    assert step is not None
    assert writer.merge(step).read == rows


def _drain(bench: Workbench, contract: StreamContract) -> None:
    drain(contract, bench.settings, budget_seconds=600, idle_seconds=0)


def _timed(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _new(bench: Workbench, name: str, *, partitions: int | None = None) -> StreamContract:
    contract = bench.stream(name)
    if partitions is None:
        return contract
    topic = contract.topic.model_copy(update={"name": f"{contract.topic.name}_wide", "partitions": partitions})
    wide = contract.model_copy(update={"topic": topic})
    apply_topics(bench.settings, desired_topics([wide]))
    return wide


def _over(days: int) -> Callable[[], float]:
    """A clock that shows each of the days for an equal share of a batch, today last, and then begins anew."""
    ticks = count()
    today = time.time()
    return lambda: today - (days - 1 - next(ticks) * days // _ROWS % days) * _DAY


def _send(bench: Workbench, contract: StreamContract, events: SalesGenerator, rows: int) -> None:
    run(
        ((event.key, event.value) for event in events),
        EventSender(bench.settings, contract.topic.name, producer_config(bench.settings)),
        interval=0,
        count=rows,
        stop=threading.Event(),
        report=lambda _: None,
    )
