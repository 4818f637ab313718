"""The speed layer's work: step every table up to silver, publish the views, write down what happened.

Here: the loop and its lock. Not here: one step (`lake.speed.writer`), one view (`lake.speed.publish`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from lakehouse.engine.crash import crash_point
from lakehouse.engine.spark import connect
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.guards.locks import exclusive, speed_lock
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.speed.position import next_advance, position_of
from lakehouse.lake.speed.publish import PUBLISHED, publish
from lakehouse.lake.speed.results import RESULTS, STREAM, Result
from lakehouse.lake.speed.store import open_store
from lakehouse.lake.speed.writer import SpeedReport, SpeedWriter
from lakehouse.settings import Settings

_LOCK_SECONDS = 900.0


@dataclass(frozen=True)
class SpeedSummary:
    """What one run did: the steps that it took, and rows written to each real-time view."""

    steps: list[SpeedReport]
    published: dict[str, int]


def advance(
    settings: Settings,
    results: Iterable[Result] = RESULTS,
    *,
    keep_from: date | None = None,
    report: Callable[[SpeedReport], None] = lambda _: None,
) -> SpeedSummary:
    """Bring the speed tables up to silver and the real-time views up to the tables.

    Args:
        settings: Which lake and which view store.
        results: Which tables; those without news cost a look at two Delta logs.
        keep_from: The views forget what lies well before this day (UTC).
        report: Called after each step.

    Raises:
        SparkUnreachableError: Spark went away; what was committed stays.
        ViewStoreError: the store does not answer; the tables are up to date.
    """
    require_lake(settings)
    paths = LakePaths.of(settings)
    wanted = list(results)
    steps: list[SpeedReport] = []
    with exclusive(speed_lock(settings), _LOCK_SECONDS):
        if is_behind(settings, wanted):
            steps = _step_all(settings, wanted, report)
        write_facts(paths, [_fact(step) for step in steps])
        store = open_store(settings)
        published = {
            result.name: publish(paths, store, result.name, keep_from=keep_from)
            for result in wanted
            if result.name in PUBLISHED
        }
        crash_point("speed_after_view")
    return SpeedSummary(steps, published)


def is_behind(settings: Settings, results: Iterable[Result] = RESULTS) -> bool:
    """Whether silver has what one of the tables lacks; the Delta logs say it, without Spark."""
    paths = LakePaths.of(settings)
    silver = paths.silver(STREAM)
    return any(next_advance(silver, position_of(paths.speed(result.name))) for result in results)


def _step_all(settings: Settings, results: list[Result], report: Callable[[SpeedReport], None]) -> list[SpeedReport]:
    spark = connect(settings.spark_remote)
    try:
        writer = SpeedWriter(settings, spark)
        steps = []
        for result in results:
            done = again_after_conflict(writer.step)(result)
            if done is not None:
                steps.append(done)
                report(done)
        return steps
    finally:
        spark.stop()


def _fact(step: SpeedReport) -> Fact:
    mark = None if step.watermark is None else datetime.fromtimestamp(step.watermark / 1e6, UTC).isoformat()
    return Fact(
        stream=STREAM,
        layer="speed",
        kind="step",
        batch=step.through,
        rows=step.rows,
        seconds=step.seconds,
        details={
            "table": step.table,
            "step": step.step,
            "late": step.late,
            "watermark": mark,
            "rebuild": step.is_rebuild,
            "delta_version": step.delta_version,
        },
    )
