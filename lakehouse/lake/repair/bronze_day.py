"""Bronze of an arrival day checked against the broker. Here: comparing and filling. Not here: silver."""

import time
from datetime import date, timedelta

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import connect, spark_errors
from lakehouse.kafka.offsets import TopicReader
from lakehouse.lake.bronze import midnight, today
from lakehouse.lake.drain import drain
from lakehouse.lake.ledger import current_version
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.reports import DayReport
from lakehouse.settings import Settings


def verify_bronze_day(contract: StreamContract, settings: Settings, day: date) -> DayReport:
    """Compare bronze of an arrival day with the broker; fill what is missing at its end; never rewrite.

    Raises:
        Stop: as `lake.drain.drain`.
    """
    began = time.monotonic()
    paths = LakePaths.of(settings)
    filled = 0
    if day <= today():
        summary = drain(
            contract,
            settings,
            budget_seconds=settings.drain_budget_seconds,
            idle_seconds=0,
            day=day,
        )
        filled = summary.bronze_rows
    held = _bronze_rows(settings, paths.bronze(contract.name), day)
    on_broker = _offsets_of_day(contract, settings, day)
    note = f"{held:,} rows in bronze, {on_broker:,} offsets of that day on the broker, {filled:,} filled in just now"
    return DayReport(
        stream=contract.name,
        day=day,
        rows=held,
        seconds=time.monotonic() - began,
        note=note,
        delta_version=current_version(paths.bronze(contract.name)),
    )


def _bronze_rows(settings: Settings, path: str, day: date) -> int:
    if current_version(path) is None:
        return 0
    spark = connect(settings.spark_remote)
    try:
        with spark_errors():
            return int(spark.read.format("delta").load(path).where(f"arrival_date = DATE'{day}'").count())
    finally:
        spark.stop()


def _offsets_of_day(contract: StreamContract, settings: Settings, day: date) -> int:
    """Offsets that the broker still has of an arrival day; includes transaction markers."""
    topic = contract.topic.name
    with TopicReader(settings) as topics:
        first = topics.offsets_at(topic, midnight(day))
        last = topics.offsets_at(topic, midnight(day + timedelta(days=1)))
    return sum(max(0, last[p] - first[p]) for p in first)
