"""What it costs that a commit counts only when it would survive a loss of power: drains with fsync and without.

Small batches, because the cost is per commit; both ways in turn over the same records, so that both meet the same load.
"""

import time
from statistics import median

from benchmarks.figures import Figure
from benchmarks.workbench import Workbench
from lakehouse.lake.drain import drain
from lakehouse.settings import Settings

_BATCHES = 20
_SHARE_OF_EVENTS = 20


def measure(bench: Workbench) -> list[Figure]:
    """Rows per second of a drain to bronze and silver with each setting, and their ratio."""
    rows = bench.sizes.events // _SHARE_OF_EVENTS
    source = bench.stream("durability")
    bench.fill(source, rows)
    seconds: dict[str, list[float]] = {"none": [], "fsync": []}
    for number in range(bench.sizes.passes):
        for mode, taken in seconds.items():
            bench.say(f"durability: {mode}, pass {number + 1} of {bench.sizes.passes}")
            contract = bench.stream(f"durability_{mode}{number}", topic=source.topic.name)
            own: Settings = bench.settings.model_copy(
                update={"durability": mode, "max_batch_rows": -(-rows // _BATCHES)}
            )
            began = time.monotonic()
            summary = drain(contract, own, budget_seconds=1_800, idle_seconds=0)
            taken.append(time.monotonic() - began)
            assert summary.bronze_rows == rows
    rates = {mode: rows / median(taken[1:] or taken) for mode, taken in seconds.items()}
    return [
        Figure(
            "drain_none_rows_per_second",
            f"a drain in {_BATCHES} batches, durability none",
            rates["none"],
            "rows/s",
            "higher",
        ),
        Figure(
            "drain_fsync_rows_per_second",
            f"a drain in {_BATCHES} batches, durability fsync",
            rates["fsync"],
            "rows/s",
            "higher",
            limit=rates["none"],
            limit_title="durability none",
        ),
        Figure(
            "fsync_cost",
            "time of a drain with fsync ÷ without",
            rates["none"] / rates["fsync"],
            "x",
            "lower",
            note=f"{rows:,} events, bronze and silver, median of the warm passes",
        ),
    ]
