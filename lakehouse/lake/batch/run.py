"""Running a batch pipeline: one step of one window, or all steps of a window in order.

Here: what a step does and reports. Not here: rows (`lake.batch.frames`), commits (`lake.batch.tables`), when and where
it runs (`components.pipeline`, `lakehouse backfill`).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.functions import function_named
from lakehouse.contracts.pipeline import (
    BROKEN_COLUMN,
    PARTITION_COLUMN,
    Check,
    DeliverStep,
    ExtractStep,
    LoadStep,
    PipelineContract,
    Stage,
    Step,
    TransformStep,
    inputs_of,
)
from lakehouse.contracts.window import Window, window_of
from lakehouse.engine.profiles import USERS_SQL_CONF
from lakehouse.engine.spark import connect, expect_rows, materialised, spark_errors
from lakehouse.engine.spark_client import set_all
from lakehouse.errors import CheckFailedError
from lakehouse.lake.batch.frames import Frames
from lakehouse.lake.batch.report import TYPED, CheckCount, StepReport
from lakehouse.lake.batch.tables import merge, overwrite_partition
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.identity import require_lake
from lakehouse.lake.ledger import current_version
from lakehouse.lake.paths import LakePaths
from lakehouse.quality.rules import quote
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Daily files and tables are small: plans for few rows cost a fraction of compiled ones. Tables of the lake are not.
_ROWS_OF_STEPS = 10_000
_ROWS_OF_TABLES = 1_000_000
TableStep = ExtractStep | TransformStep | LoadStep


@dataclass(frozen=True)
class StepContext:
    """What a delivery may use.

    Attributes:
        pipeline: Its pipeline.
        window: The window.
        inputs: What the step reads, as the YAML names it.
        options: As the YAML gives them.
        settings: Lake, brokers, folders.
        read: Rows of a step of this window, or of a table, as a DataFrame.
    """

    pipeline: PipelineContract
    window: Window
    inputs: list[str]
    options: dict[str, Any]
    settings: Settings
    read: "Callable[[str], DataFrame]"


def run_step(pipeline: PipelineContract, name: str, key: str, settings: Settings) -> StepReport:
    """Run one step of one window. Run again it leaves the same rows.

    Args:
        pipeline: The pipeline.
        name: The step.
        key: Partition key of the window.
        settings: Lake, Spark, folders.

    Raises:
        UsageError: no such partition.
        SourceMissingError: what it reads is not there yet.
        SparkUnreachableError, BatchConflictError: may pass; run it again.
        CheckFailedError: a merge's rows are not unique. Broken checks are reported, not raised.
    """
    with _at_work(pipeline, key, settings) as (spark, window):
        return _run_step(pipeline, name, window, settings, spark)


def run_pipeline(
    pipeline: PipelineContract, key: str, settings: Settings, report: Callable[[StepReport], None] = lambda _: None
) -> list[StepReport]:
    """Run every step of one window in order, without Dagster.

    Raises as `run_step`, and:
        CheckFailedError: a blocking check does not hold; later steps were not run.
    """
    done = []
    with _at_work(pipeline, key, settings) as (spark, window):
        for _, step in pipeline.steps():
            done.append(_run_step(pipeline, step.name, window, settings, spark))
            report(done[-1])
            _require_checks(done[-1])
    return done


@contextmanager
def _at_work(pipeline: PipelineContract, key: str, settings: Settings) -> "Iterator[tuple[SparkSession, Window]]":
    """A session, and the window that the key names. What is wrong with the question is said before Spark is asked."""
    window = window_of(pipeline.cadence, key, pipeline.start)
    require_lake(settings)
    spark = connect(settings.spark_remote)
    try:
        with spark_errors():
            set_all(spark, USERS_SQL_CONF)
        yield spark, window
    finally:
        spark.stop()


def _require_checks(made: StepReport) -> None:
    if made.failed:
        names = ", ".join(f"{check.name} ({check.broken} of {check.rows} rows)" for check in made.failed)
        raise CheckFailedError(
            f"Pipeline {made.pipeline}, {made.partition}: {made.step} breaks {names}.",
            why="Blocking checks keep what follows from reading bad rows.",
            fix="Look at the table of that step: `_broken` names what a row broke. Then correct the source.",
        )


def _run_step(
    pipeline: PipelineContract, name: str, window: Window, settings: Settings, spark: "SparkSession"
) -> StepReport:
    began = time.monotonic()
    stage, step = pipeline.step(name)
    with spark_errors():
        expect_rows(spark, _ROWS_OF_TABLES if any("." in name for name in inputs_of(step)) else _ROWS_OF_STEPS)
        report = _run(pipeline, stage, step, window, settings, spark, began)
    write_facts(LakePaths.of(settings), [_fact(report)])
    return report


def _run(
    pipeline: PipelineContract,
    stage: Stage,
    step: Step,
    window: Window,
    settings: Settings,
    spark: "SparkSession",
    began: float,
) -> StepReport:
    frames = Frames(pipeline.name, window, settings, spark)
    if isinstance(step, DeliverStep):
        context = StepContext(pipeline, window, step.inputs, dict(step.options), settings, frames.read)
        details = function_named(step.function)(context) or {}
        return StepReport(pipeline.name, step.name, stage, window.key, 0, 0, time.monotonic() - began, details=details)
    path = LakePaths.of(settings).batch(pipeline.name, step.name)
    metadata = {"kind": "batch", "pipeline": pipeline.name, "step": step.name, "partition": window.key}
    rows = materialised(_rows(frames, step))
    if isinstance(step, LoadStep) and step.strategy == "merge":
        merge(rows, path, window, step.key, metadata, settings)
    else:
        overwrite_partition(rows, path, window, metadata, settings)
    if isinstance(step, LoadStep) and step.checks:
        # What is validated after a load is the table, not what was meant to go into it.
        rows = spark.read.format("delta").load(path).where(f"{PARTITION_COLUMN} = {quote(window.key)}")
    count, rejected, checks = _judge(rows, step)
    return StepReport(
        pipeline=pipeline.name,
        step=step.name,
        stage=stage,
        partition=window.key,
        rows=count,
        rejected=rejected,
        seconds=time.monotonic() - began,
        delta_version=current_version(path),
        checks=checks,
    )


def _rows(frames: Frames, step: TableStep) -> "DataFrame":
    if isinstance(step, ExtractStep):
        return frames.extract(step)
    if isinstance(step, TransformStep):
        return frames.transform(step)
    return frames.read(step.input)


def _judge(rows: "DataFrame", step: TableStep) -> tuple[int, int, tuple[CheckCount, ...]]:
    """Rows, rejected rows and the verdict of each check, counted in one pass."""
    counters = [f"count_if(NOT coalesce(({check.sql}), false)) AS `{check.name}`" for check in step.checks]
    has_broken = BROKEN_COLUMN in rows.columns
    rejected = f"count_if({BROKEN_COLUMN} <> '')" if has_broken else "0L"
    counted = rows.selectExpr("count(*) AS _rows", f"{rejected} AS _rejected", *counters).collect()[0].asDict()
    total = int(counted["_rows"])
    checks = [_verdict(check, total, int(counted[check.name])) for check in step.checks]
    if isinstance(step, ExtractStep):
        untyped = int(rows.where(f"{BROKEN_COLUMN} rlike '_type(,|$)'").count()) if counted["_rejected"] else 0
        checks.append(CheckCount(TYPED, total, untyped, untyped == 0, blocking=False))
    return total, int(counted["_rejected"]), tuple(checks)


def _verdict(check: Check, rows: int, broken: int) -> CheckCount:
    passed = broken <= check.tolerance * rows
    return CheckCount(check.name, rows, broken, passed, blocking=check.severity == "error")


def _fact(report: StepReport) -> Fact:
    details = {
        "step": report.step,
        "stage": report.stage,
        "partition": report.partition,
        "delta_version": report.delta_version,
        "checks": [asdict(check) for check in report.checks],
        **{f"delivered_{name}": value for name, value in report.details.items()},
    }
    return Fact(
        report.pipeline, "batch", "step", rows=report.rows, rejected=report.rejected, seconds=report.seconds,
        details=details,
    )  # fmt: skip
