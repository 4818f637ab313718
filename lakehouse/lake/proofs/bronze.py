"""Bronze against its own plans and against the broker: contiguous, nothing twice, nothing missing.

Here: three comparisons and the words for what they find. Not here: repairing.
"""

from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.caching import cached
from lakehouse.engine.duck import lasting_delta_connection
from lakehouse.kafka.offsets import TopicState
from lakehouse.kafka.timestamps import visible_offsets
from lakehouse.lake.ledger import Commit
from lakehouse.lake.plan import Plan
from lakehouse.lake.planner import chain_breaks
from lakehouse.lake.proofs.finding import Finding
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_NAMED = 5


class _Held(NamedTuple):
    """What bronze has: rows by batch; by topic id and partition rows, and the sum of their offsets' hashes."""

    batches: dict[int, int]
    partitions: dict[tuple[str, int], tuple[int, int]]


def prove_bronze(
    table: str,
    bronze: "DataFrame",
    contract: StreamContract,
    settings: Settings,
    history: list[tuple[Plan, Commit]],
    state: TopicState,
    kept_since: date | None = None,
) -> list[Finding]:
    """Everything that is wrong with a stream's bronze table; empty when it holds exactly what was planned.

    Args:
        table: Where it is.
        bronze: Its rows, of days that retention has left.
        contract: The stream.
        settings: For reading single offsets from the broker.
        history: Its batches with their commits, oldest first.
        state: What the broker holds now.
        kept_since: First arrival day that retention has left; batches of earlier ones are counted, not missed.
    """
    kept = [(plan, commit) for plan, commit in history if kept_since is None or plan.day >= kept_since]
    held = _held(table, kept_since)
    return [
        *(Finding(contract.name, "contiguity", text) for text in chain_breaks([plan for plan, _ in history])),
        *_batch_counts(held, contract.name, kept),
        *_identities(bronze, held, contract, settings, [plan for plan, _ in kept], state),
    ]


def _held(table: str, kept_since: date | None) -> _Held:
    """Count the table in one pass over four columns, by another engine than wrote them."""
    kept = "true" if kept_since is None else f"arrival_date >= DATE '{kept_since}'"
    query = f"""
        select batch, topic_id, partition, count(*), sum(hash("offset")::hugeint)
        from delta_scan(?) where {kept} group by grouping sets ((batch), (topic_id, partition))
    """  # noqa: S608 - a date of our own
    held = _Held({}, {})
    with lasting_delta_connection() as connection:
        for batch, topic_id, partition, rows, hashes in connection.execute(query, [table]).fetchall():
            if batch is None:
                held.partitions[topic_id, partition] = (rows, hashes)
            else:
                held.batches[batch] = rows
    return held


def _batch_counts(held: _Held, stream: str, history: list[tuple[Plan, Commit]]) -> list[Finding]:
    """Rows per batch in the table against the rows that its commit wrote."""
    findings = []
    for plan, commit in history:
        written = int(commit.metrics.get("numOutputRows", 0))
        rows = held.batches.get(plan.batch, 0)
        if rows != written:
            findings.append(
                Finding(stream, "bronze", f"batch {plan.batch}: {written} rows were committed, {rows} are there")
            )
    unknown = sorted(held.batches.keys() - {plan.batch for plan, _ in history})
    return findings + [
        Finding(stream, "bronze", f"batch {batch}: {held.batches[batch]} rows are there that no commit wrote")
        for batch in unknown[:_NAMED]
    ]


def _identities(
    bronze: "DataFrame",
    held: _Held,
    contract: StreamContract,
    settings: Settings,
    plans: list[Plan],
    state: TopicState,
) -> list[Finding]:
    """Each offset that was read and is visible is there once."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    ranges = _read_ranges(plans)
    findings = [
        Finding(
            contract.name, "bronze", f"{rows} rows are there of partition {partition} of topic {topic_id}, never read"
        )
        for (topic_id, partition), (rows, _) in sorted(held.partitions.items())
        if (topic_id, partition) not in ranges
    ]
    for (topic_id, partition), (start, end) in sorted(ranges.items()):
        if held.partitions.get((topic_id, partition), (0, 0)) == _of_range(start, end):
            continue
        part = bronze.where(F.col("topic_id") == topic_id).where(F.col("partition") == partition)
        with cached(part, ["offset"]) as offsets:
            findings += _doubled(offsets, contract.name, partition)
            findings += _never_read(offsets, contract.name, partition, start, end)
            missing = missing_ranges(offsets, start, end)
        if missing:
            still_there = topic_id == state.topic_id
            findings += _lost(contract, settings, partition, missing, state.start.get(partition, 0), still_there)
    return findings


def _of_range(start: int, end: int) -> tuple[int, int]:
    """Rows, and the sum of their offsets' hashes, of a partition that has each offset of `[start, end)` once."""
    query = "select count(*), coalesce(sum(hash(o)::hugeint), 0) from range(?, ?) r(o)"
    with lasting_delta_connection() as connection:
        rows, hashes = connection.execute(query, [start, end]).fetchall()[0]
    return int(rows), int(hashes)


def _read_ranges(plans: list[Plan]) -> dict[tuple[str, int], tuple[int, int]]:
    """`{(topic id, partition): (first offset, end)}` that all plans together have read."""
    ranges: dict[tuple[str, int], tuple[int, int]] = {}
    for plan in plans:
        for partition, end in plan.end.items():
            first = ranges.get((plan.topic_id, partition), (plan.start[partition], 0))[0]
            ranges[plan.topic_id, partition] = (first, end)
    return ranges


def _doubled(part: "DataFrame", stream: str, partition: int) -> list[Finding]:
    twice = part.groupBy("offset").count().where("count > 1").orderBy("offset").limit(_NAMED).collect()
    return [
        Finding(stream, "bronze", f"partition {partition}, offset {row['offset']} is there {row['count']} times")
        for row in twice
    ]


def _never_read(part: "DataFrame", stream: str, partition: int, start: int, end: int) -> list[Finding]:
    odd = part.where(f"offset < {start} OR offset >= {end}").orderBy("offset").limit(_NAMED).collect()
    return [
        Finding(stream, "bronze", f"partition {partition}, offset {row['offset']} is there, but no batch has read it")
        for row in odd
    ]


def missing_ranges(part: "DataFrame", start: int, end: int) -> list[tuple[int, int]]:
    """Ranges `[a, b)` within `[start, end)` of which no row is there."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention
    from pyspark.sql.window import Window

    before = F.lag("offset", 1, start - 1).over(Window.orderBy("offset"))
    holes = part.select("offset").distinct().withColumn("before", before).where("offset > before + 1").collect()
    ranges = [(row["before"] + 1, row["offset"]) for row in holes]
    newest = part.agg(F.max("offset")).collect()[0][0]
    tail = start if newest is None else newest + 1
    return [*ranges, (tail, end)] if tail < end else ranges


def _lost(
    contract: StreamContract,
    settings: Settings,
    partition: int,
    missing: list[tuple[int, int]],
    earliest: int,
    still_there: bool,
) -> list[Finding]:
    """Of the missing ranges, what the broker still shows to a read_committed reader: those rows were lost.

    Offsets of transaction markers and aborted records are missing by right. What the broker no longer has cannot be
    told apart from them; the count per batch covers that case.
    """
    findings = []
    for first, end in missing:
        begin = max(first, earliest)
        if not still_there or begin >= end:
            continue
        visible = visible_offsets(settings, contract.topic.name, partition, begin, end)
        findings += [
            Finding(
                contract.name, "bronze", f"partition {partition}, offset {offset} is on the broker but not in bronze"
            )
            for offset in visible[:_NAMED]
        ]
        if len(visible) > _NAMED:
            rest = len(visible) - _NAMED
            findings.append(Finding(contract.name, "bronze", f"partition {partition}: {rest} more offsets are missing"))
    return findings
