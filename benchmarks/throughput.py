"""Rows per second: sending, the machine's limits, bronze, silver, and both halves of a drain together.

Every pass takes the same backlog into empty tables. The first is the cold one, and Java's compilers are busy for some
more. A server runs for weeks: the median of the second half of the passes counts, for the limits as for us.
"""

import json
import os
import time
from statistics import median

from benchmarks.figures import Figure
from benchmarks.workbench import BAD_SHARE, DUPLICATE_SHARE, Workbench
from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.offsets import TopicReader
from lakehouse.lake.bronze import BronzeWriter
from lakehouse.lake.drain import drain
from lakehouse.lake.records import RecordReader
from lakehouse.transforms.events import typed


def measure(bench: Workbench) -> list[Figure]:
    """All throughput figures."""
    contract = bench.backlog("limits")
    assert bench.sent is not None
    produced = Figure(
        "produce_events_per_second",
        f"produce, {bench.event_bytes}-byte events, acknowledged by all",
        bench.sent.events_per_second,
        "rows/s",
        "higher",
        target=100_000,
    )
    consume, parquet = _kafka_limits(bench, contract)
    filled, bronze = _bronze(bench, consume, parquet)
    parse = _parse_limit(bench, filled)
    silver = _silver(bench, filled, parse)
    both = _both(bench, consume)
    cores = len(os.sched_getaffinity(0))
    in_bytes = [bytes_per_core(rate, bench.event_bytes, cores) for rate in (bronze[-1], silver[-1], both)]
    return [produced, *bronze, *silver, both, *in_bytes]


def bytes_per_core(rate: Figure, event_bytes: int, cores: int) -> Figure:
    """A rate in bytes of events, and how many such cores 10 TB an hour would be: arithmetic, not a measurement."""
    each = rate.value * event_bytes / 1e6 / cores
    wanted = 10e12 / 3600 / 1e6 / each
    return Figure(
        rate.name.replace("_rows_per_second", "_mb_per_second_per_core"),
        f"{rate.title}, per core",
        each,
        "MB/s",
        "higher",
        note=f"10 TB an hour would be {wanted:,.0f} such cores, if rows, disks and network grew as evenly",
    )


def warm_rate(seconds: list[float], rows: int) -> tuple[float, str]:
    """Rows per second of the warm passes, and the note that tells of the others."""
    early, warm = seconds[1 : len(seconds) // 2] or seconds[:1], seconds[len(seconds) // 2 :]
    note = f"cold {rows / seconds[0]:,.0f}; then {rows / median(early):,.0f}; best {rows / min(warm):,.0f}"
    return rows / median(warm), f"{note}; the last {len(warm)} of {len(seconds)} passes count"


def _kafka_limits(bench: Workbench, contract: StreamContract) -> tuple[float, float]:
    """The backlog read to nothing, which is the limit, and into plain Parquet files.

    The read is the writer's own, so that both have the same consumer settings and columns.
    """
    bench.say("limits: raw consume; plain Parquet")
    with TopicReader(bench.settings) as topics:
        writer = BronzeWriter(contract, bench.settings, bench.spark, topics)
        plan, _ = writer.plan(bench.sizes.events)
    assert plan is not None
    rows = RecordReader(contract, bench.settings, bench.spark).read(plan)
    target = f"{bench.paths.root}/limit.parquet"
    consumed, written = [], []
    for _ in range(bench.sizes.passes_for_rates):
        began = time.monotonic()
        rows.write.format("noop").mode("overwrite").save()
        consumed.append(time.monotonic() - began)
        began = time.monotonic()
        rows.write.mode("overwrite").parquet(target)
        written.append(time.monotonic() - began)
    return warm_rate(consumed, plan.span)[0], warm_rate(written, plan.span)[0]


def _bronze(bench: Workbench, consume: float, parquet: float) -> tuple[StreamContract, list[Figure]]:
    """Catch up the backlog into a new bronze table, several times; the last table is handed on."""
    seconds = []
    for number in range(bench.sizes.passes_for_rates):
        bench.say(f"bronze, pass {number + 1} of {bench.sizes.passes_for_rates}")
        contract = bench.backlog(f"bronze{number}")
        began = time.monotonic()
        taken = bench.catch_up(contract)
        seconds.append(time.monotonic() - began)
        assert taken == bench.sizes.events
    rate, note = warm_rate(seconds, bench.sizes.events)
    return contract, [
        Figure("raw_consume_rows_per_second", "raw consume: Kafka → nothing", consume, "rows/s", "higher"),
        Figure(
            "raw_parquet_rows_per_second",
            "Kafka → plain Parquet (zstd), by Spark's own writer",
            parquet,
            "rows/s",
            "higher",
            limit=consume,
            limit_title="raw consume",
        ),
        Figure(
            "bronze_rows_per_second",
            "bronze catching up a backlog",
            rate,
            "rows/s",
            "higher",
            target=450_000,
            limit=consume,
            limit_title="raw consume",
            note=note,
        ),
    ]


def _parse_limit(bench: Workbench, contract: StreamContract) -> float:
    """Bronze rows parsed into typed fields, to nothing: no judgement, no key, no write."""
    bench.say("limit: parsing")
    bronze = bench.spark.read.format("delta").load(bench.paths.bronze(contract.name))
    rows = typed(bronze, contract).select(*contract.field_names)
    seconds = []
    for _ in range(bench.sizes.passes_for_rates):
        began = time.monotonic()
        rows.write.format("noop").mode("overwrite").save()
        seconds.append(time.monotonic() - began)
    return warm_rate(seconds, bench.sizes.events)[0]


def _silver(bench: Workbench, contract: StreamContract, parse: float) -> list[Figure]:
    seconds = []
    for number in range(bench.sizes.passes_for_rates):
        bench.say(f"silver, pass {number + 1} of {bench.sizes.passes_for_rates}")
        bench.forget_silver(contract)
        began = time.monotonic()
        read = bench.merge_up(contract)
        seconds.append(time.monotonic() - began)
        assert read == bench.sizes.events
    rate, note = warm_rate(seconds, bench.sizes.events)
    return [
        Figure("raw_parse_rows_per_second", "raw parse: bronze → typed fields → nothing", parse, "rows/s", "higher"),
        Figure(
            "silver_rows_per_second",
            "silver alone: parse, 30 conditions, quarantine, merge",
            rate,
            "rows/s",
            "higher",
            target=180_000,
            limit=parse,
            limit_title="raw parse",
            note=f"{note}; {BAD_SHARE:.1%} broken, {DUPLICATE_SHARE:.1%} repeated",
        ),
    ]


def _both(bench: Workbench, consume: float) -> Figure:
    bench.say("bronze and silver together in a drain")
    contract = bench.backlog("drain")
    began = time.monotonic()
    summary = drain(contract, bench.settings, budget_seconds=600, idle_seconds=0)
    seconds = time.monotonic() - began
    assert summary.bronze_rows == bench.sizes.events, json.dumps(summary.__dict__, default=str)
    return Figure(
        "drain_rows_per_second",
        "a drain of the backlog: bronze and silver side by side, start to end",
        bench.sizes.events / seconds,
        "rows/s",
        "higher",
        target=130_000,
        limit=consume,
        limit_title="raw consume",
        note=f"{summary.silver_rows:,} rows in silver, {summary.rejected:,} rejected",
    )
