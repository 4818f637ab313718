"""Whole days: silver of an event date recomputed from bronze.

Here: the second way to fill silver; its result equals the first (`lake.silver`). Not here: choosing days, bronze of an
arrival day (`lake.bronze_day`).
"""

import json
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import connect, spark_errors
from lakehouse.lake.conflicts import again_after_conflict
from lakehouse.lake.decisions import judge_as_decided
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.identity import require_lake
from lakehouse.lake.ledger import current_version, last_plan, merged_through
from lakehouse.lake.locks import exclusive, silver_lock
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.plan import Plan
from lakehouse.lake.reports import DayReport
from lakehouse.lake.tables import ensure_tables
from lakehouse.settings import Settings
from lakehouse.transforms.events import silver_columns, winner_per_key

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LOCK_SECONDS = 900.0


def rebuild_silver(
    contract: StreamContract,
    settings: Settings,
    days: list[date],
    report: Callable[[DayReport], None] = lambda _: None,
) -> list[DayReport]:
    """Recompute event dates of silver from bronze and replace exactly those partitions, one commit per date.

    Records that arrived in bronze but are not merged yet are included; merging them later changes nothing. No merge can
    fall between the read and the commit of a day: both hold the stream's lock, and Dagster's pool keeps hosts apart.

    Raises:
        SparkUnreachableError: Spark went away; days already reported are done.
    """
    paths = LakePaths.of(settings)
    require_lake(settings)
    spark = connect(settings.spark_remote)
    done: list[DayReport] = []
    try:
        ensure_tables(spark, contract, paths)
        for day in days:
            with exclusive(silver_lock(settings, contract.name), _LOCK_SECONDS):
                done.append(rebuild_day(spark, contract, paths, day))
            report(done[-1])
    finally:
        spark.stop()
        write_facts(paths, [_fact(entry) for entry in done])
    return done


@again_after_conflict
def rebuild_day(spark: "SparkSession", contract: StreamContract, paths: LakePaths, day: date) -> DayReport:
    """Replace one event date of silver by what bronze gives; the caller holds the stream's silver lock."""
    began = time.monotonic()
    known = last_plan(paths.bronze(contract.name))
    silver = paths.silver(contract.name)
    if known is None:
        return DayReport(contract.name, day, 0, time.monotonic() - began, "bronze is empty; nothing to do")
    metadata = {
        "kind": "backfill",
        "stream": contract.name,
        "day": day.isoformat(),
        "through": known[0].batch,
        "merged_through": merged_through(silver),
    }
    with spark_errors():
        rows = _silver_of_day(spark, contract, paths, known[0], day)
        (
            rows.write.format("delta")
            .mode("overwrite")
            .option("replaceWhere", f"event_date = DATE'{day}'")
            .option("userMetadata", json.dumps(metadata))
            .save(silver)
        )
        count = spark.read.format("delta").load(silver).where(f"event_date = DATE'{day}'").count()
    return DayReport(
        stream=contract.name,
        day=day,
        rows=count,
        seconds=time.monotonic() - began,
        note=f"recomputed from bronze through batch {known[0].batch}",
        delta_version=current_version(silver),
    )


def _silver_of_day(
    spark: "SparkSession", contract: StreamContract, paths: LakePaths, newest: Plan, day: date
) -> "DataFrame":
    """What silver must hold of an event date: the latest valid row per key, from bronze alone."""
    bronze = (
        spark.read.format("delta")
        .load(paths.bronze(contract.name))
        .where(f"batch <= {newest.batch} AND {arrival_window(contract, day)}")
    )
    judged = judge_as_decided(bronze, contract, newest.generations, paths)
    valid = judged.where(f"_broken = '' AND event_date = DATE'{day}'")
    return winner_per_key(valid.select(*silver_columns(contract)), contract)


def arrival_window(contract: StreamContract, day: date) -> str:
    """SQL: the arrival days on which an event of this date can have come, as the contract's lateness allows."""
    first = day - timedelta(days=1) - contract.lateness.future
    condition = f"arrival_date >= DATE'{first}'"
    if contract.lateness.past is not None:
        last = day + timedelta(days=2) + contract.lateness.past
        condition += f" AND arrival_date <= DATE'{last}'"
    return condition


def _fact(report: DayReport) -> Fact:
    details = {"day": report.day.isoformat(), "note": report.note, "delta_version": report.delta_version}
    return Fact(report.stream, "silver", "backfill", rows=report.rows, seconds=report.seconds, details=details)
