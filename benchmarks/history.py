"""Does a batch cost more when the table has a long history? Small bronze batches, two windows of them, on one table.

Between the windows the history is made without Spark: plans of the same size, each with a copy of one file, committed
as bronze commits.
"""

import shutil
import time
from pathlib import Path
from statistics import mean, median

from benchmarks.figures import Figure
from benchmarks.workbench import Workbench
from lakehouse.kafka.offsets import TopicReader
from lakehouse.lake.bronze import BronzeWriter, commit_plan
from lakehouse.lake.log.staging import staging_folder

_ROWS = 150
_EARLY = 100
_WINDOW = 20


def measure(bench: Workbench) -> list[Figure]:
    """Seconds of a late batch over seconds of an early one: medians of 20 batches around each.

    The early ones are taken last, on a table of their own, when Java's compilers have had no less time for them.
    """
    late = bench.sizes.history
    bench.say(f"history: a log of {late:,} batches, and batches of {_ROWS} rows at its end")
    after = _window(bench, "long_history", late)
    bench.say(f"history: the same around batch {_EARLY}")
    before = _window(bench, "short_history", _EARLY)
    early_seconds, late_seconds = median(before), median(after)
    return [
        Figure(
            "history_growth",
            f"cost of batch {late:,} ÷ cost of batch {_EARLY}",
            late_seconds / early_seconds,
            "x",
            "lower",
            target=1.15,
            note=f"{early_seconds:.3f} s and {late_seconds:.3f} s, medians of {_WINDOW} batches of {_ROWS} rows; means "
            f"{mean(before):.3f} s and {mean(after):.3f} s",
        )
    ]


def _window(bench: Workbench, name: str, around: int) -> list[float]:
    """Seconds of each of the batches around this one, on a table of its own."""
    contract = bench.backlog(name)
    with TopicReader(bench.settings) as topics:
        writer = BronzeWriter(contract, bench.settings, bench.spark, topics)
        warm = [_timed(bench, writer) for _ in range(_EARLY - _WINDOW)]
        _lengthen(bench, writer, Path(bench.paths.bronze(contract.name)), around - len(warm) - _WINDOW // 2)
        return [_timed(bench, writer) for _ in range(_WINDOW)]


def _timed(bench: Workbench, writer: BronzeWriter) -> float:
    began = time.monotonic()
    plan, waiting = writer.plan(_ROWS)
    assert plan is not None
    bench.append(writer, plan, waiting)
    return time.monotonic() - began


def _lengthen(bench: Workbench, writer: BronzeWriter, table: Path, batches: int) -> None:
    """Commit so many batches more."""
    file = next(table.glob("arrival_date=*/*.parquet"))
    for number in range(batches):
        plan, _ = writer.plan(_ROWS)
        assert plan is not None
        with staging_folder(str(table)) as folder:
            day = folder / f"arrival_date={plan.day}"
            day.mkdir(parents=True)
            shutil.copyfile(file, day / f"part-{number:06}.parquet")
            commit_plan(plan, folder, bench.settings)
