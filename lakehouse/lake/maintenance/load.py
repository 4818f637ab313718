"""What a stream really carries and how its tables lie on the disk: the ground for advice about sizes.

Here: measuring out of the Delta logs, and the advice. Not here: the tables of sizes (`engine.sizing`,
`kafka.topic_plan`), mending anything (`lake.maintenance.upkeep`).
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.sizing import SMALLEST_GOOD_MB
from lakehouse.kafka.topic_plan import recommend_partitions
from lakehouse.lake.ledger import plans
from lakehouse.lake.maintenance.table_files import TableStats, data_files
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.settings import Settings

_BATCHES = 500
# Small files in one partition that a day of micro-batches leaves anyway; more are worth putting together.
_MANY_FILES = 32
_MB = 1e6


@dataclass(frozen=True)
class StreamLoad:
    """A stream's load.

    Attributes:
        stream: The stream.
        partitions: Partitions of its topic, as the last batch read them.
        batches: Bronze batches looked at, the newest `_BATCHES` at most.
        rows: Offsets that they read.
        full_batches: How many of them ended at the cap of rows: a backlog was waiting.
        busiest_per_second: Events a second in the busiest minute of commits.
        tables: Files and sizes by layer.
    """

    stream: str
    partitions: int
    batches: int
    rows: int
    full_batches: int
    busiest_per_second: float
    tables: dict[str, TableStats]


def measure(contract: StreamContract, settings: Settings) -> StreamLoad | None:
    """The load of a stream; None when nothing was ever read."""
    paths = LakePaths.of(settings)
    taken = list(islice(plans(paths.bronze(contract.name)), _BATCHES))
    if not taken:
        return None
    per_minute: Counter[datetime] = Counter()
    for plan, commit in taken:
        per_minute[commit.committed_at.replace(second=0, microsecond=0)] += plan.span
    layers = {"bronze": paths.bronze(contract.name), "silver": paths.silver(contract.name)}
    return StreamLoad(
        stream=contract.name,
        partitions=len(taken[0][0].end),
        batches=len(taken),
        rows=sum(plan.span for plan, _ in taken),
        full_batches=sum(plan.span >= settings.max_batch_rows for plan, _ in taken),
        busiest_per_second=max(per_minute.values()) / 60,
        tables={layer: TableStats.of(data_files(path)) for layer, path in layers.items() if table_exists(path)},
    )


def advice(load: StreamLoad, settings: Settings) -> list[str]:
    """What to change, most useful first, each with the setting or command; empty when all is as it should be."""
    said = []
    least, _, reason = recommend_partitions(load.busiest_per_second)
    if load.partitions < least:
        said.append(
            f"topic: {load.partitions} partitions at {load.busiest_per_second:,.0f} events/s; {least} or more "
            f"({reason}): topic.partitions in the stream's YAML, then `lakehouse topics apply`"
        )
    if load.full_batches * 2 > load.batches:
        said.append(
            f"drain: {load.full_batches} of {load.batches} batches were full; raise LAKEHOUSE_MAX_BATCH_ROWS "
            f"({settings.max_batch_rows:,}) with LAKEHOUSE_SPARK_MEMORY ({settings.spark_memory})"
        )
    for layer, table in load.tables.items():
        average_mb = table.bytes / _MB / max(1, table.files)
        if table.most_per_partition > _MANY_FILES and average_mb < SMALLEST_GOOD_MB:
            said.append(
                f"{layer}: {table.files:,} files of {average_mb:.1f} MB, {table.most_per_partition:,} in one "
                f"partition: `lakehouse maintain {load.stream}`"
            )
    return said
