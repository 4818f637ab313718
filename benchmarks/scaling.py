"""What a second core brings: the same backlog taken by a whole stack that may use one core, then by one that has all.

Here: that comparison. Not here: how a backlog is taken (`workbench`).
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from benchmarks.figures import Figure, amount
from benchmarks.throughput import warm_rate
from benchmarks.workbench import Workbench, workbench

_EVENTS, _PASSES = 300_000, 3


def measure(bench: Workbench) -> list[Figure]:
    """Rows per second to bronze and to silver, with all cores over one; nothing where there is but one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        bench.say("scaling: left out, there is one core only")
        return []
    one, all_of_them = _rates(bench, cores[:1]), _rates(bench, cores)
    return [
        Figure(
            f"{layer}_scaling",
            f"{layer} over a backlog: {len(cores)} cores ÷ 1 core",
            all_of_them[layer] / one[layer],
            "x",
            "higher",
            limit=len(cores),
            limit_title="cores",
            note=f"{amount(one[layer], 'rows/s')}, {amount(all_of_them[layer], 'rows/s')}; broker and worker have "
            "these cores, too; medians of the warm passes",
        )
        for layer in one
    ]


def _rates(bench: Workbench, cores: list[int]) -> dict[str, float]:
    """Rows per second by layer of a stack whose processes share these cores."""
    full = bench.sizes
    sizes = replace(full, events=min(_EVENTS, full.events), passes=min(_PASSES, full.passes))
    taken: dict[str, list[float]] = {"bronze": [], "silver": []}
    with only(cores), workbench(sizes, bench.say) as stand:
        for number in range(sizes.passes_for_rates):
            bench.say(f"scaling: {len(cores)} of the cores, pass {number + 1} of {sizes.passes_for_rates}")
            contract = stand.backlog(f"scaling{number}")
            for layer, take in {"bronze": stand.catch_up, "silver": stand.merge_up}.items():
                began = time.monotonic()
                rows = take(contract)
                taken[layer].append(time.monotonic() - began)
                assert rows == sizes.events
    return {layer: warm_rate(seconds, sizes.events)[0] for layer, seconds in taken.items()}


@contextmanager
def only(cores: list[int]) -> Iterator[None]:
    """This thread, and all threads and processes that it starts, run on these cores meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
