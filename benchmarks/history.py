"""Does a batch cost more when the table has a long history? Small bronze batches, hundreds of them, on one table."""

import time
from statistics import median

from benchmarks.figures import Figure
from benchmarks.workbench import Workbench
from lakehouse.kafka.offsets import TopicReader
from lakehouse.lake.bronze import BronzeWriter

_ROWS = 200
_HALF_WINDOW = 10


def measure(bench: Workbench) -> list[Figure]:
    """Seconds of a late batch over seconds of an early one: medians of 20 batches around each."""
    early, late = 50, bench.sizes.history - _HALF_WINDOW
    if late <= early + 2 * _HALF_WINDOW:
        early = late - 2 * _HALF_WINDOW
    contract = bench.backlog("history")
    bench.say(f"history: {bench.sizes.history} batches of {_ROWS} rows")
    seconds = []
    with TopicReader(bench.settings) as topics:
        writer = BronzeWriter(contract, bench.settings, bench.spark, topics)
        for _ in range(bench.sizes.history):
            began = time.monotonic()
            plan, waiting = writer.plan(_ROWS)
            assert plan is not None
            bench.append(writer, plan, waiting)
            seconds.append(time.monotonic() - began)
    before = median(seconds[early - _HALF_WINDOW : early + _HALF_WINDOW])
    after = median(seconds[late - _HALF_WINDOW : late + _HALF_WINDOW])
    return [
        Figure(
            "history_growth",
            f"cost of batch {late} ÷ cost of batch {early}",
            after / before,
            "x",
            "lower",
            target=1.2,
            note=f"{before:.3f} s and {after:.3f} s, medians of {2 * _HALF_WINDOW} batches of {_ROWS} rows",
        )
    ]
