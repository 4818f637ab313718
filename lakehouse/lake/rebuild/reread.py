"""Rows that an earlier schema wrote, brought to what the accepted one makes of the same events.

Here: the part of an evolution that touches rows; the next drain does it first. Not here: columns
(`lake.schema.evolve`), how a day is recomputed (`lake.rebuild.backfill`). Killed in between, it is done again from the
start, with the same end.
"""

import json
from datetime import date
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.engine.spark import spark_errors
from lakehouse.lake.decisions import judge_as_decided
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.guards.locks import exclusive, silver_lock
from lakehouse.lake.ledger import last_plan, merged_through
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rebuild.backfill import arrival_window, rebuild_days
from lakehouse.lake.schema.accepted import Rest, note_accepted, read_accepted
from lakehouse.quality.rules import date_list, quote
from lakehouse.settings import Settings
from lakehouse.transforms.events import where_judged
from lakehouse.transforms.rejects import as_quarantine

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOCK_SECONDS = 900.0
_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_SOURCE = "reread"


def read_rows_anew(spark: "SparkSession", contract: StreamContract, settings: Settings, paths: LakePaths) -> list[date]:
    """Fill renamed columns, and read again from bronze the dates whose events hold more than was understood.

    Returns:
        The event dates that were recomputed.

    Raises:
        BatchConflictError: other writers were faster six times; the next drain goes on.
    """
    silver = paths.silver(contract.name)
    accepted = read_accepted(silver)
    if accepted is None or not accepted.rest:
        return []
    with exclusive(silver_lock(settings, contract.name), _LOCK_SECONDS), spark_errors():
        for name, former in accepted.rest.fill.items():
            _fill(spark, contract, silver, name, former)
        days = _days_to_read(spark, silver, accepted.rest)
        # Rows of a `cdc` stream move from date to date; there all dates are one.
        for some in [days] if contract.is_cdc and days else [[day] for day in days]:
            _quarantine_what_fails_now(spark, contract, paths, some)
            rebuild_days(spark, contract, paths, some)
            crash_point("evolve_after_day")
        again_after_conflict(note_accepted)(spark, silver, accepted.model_copy(update={"rest": Rest()}))
    return days


@again_after_conflict
def _fill(spark: "SparkSession", contract: StreamContract, silver: str, name: str, former: str) -> None:
    """Carry the values of a renamed column over. Rows written since have none under the former name."""
    metadata = {"kind": "rename", "stream": contract.name, "from": former, "to": name}
    spark.conf.set(_METADATA, json.dumps(metadata))
    try:
        with spark_errors():
            spark.sql(
                f"UPDATE delta.`{silver}` SET `{name}` = `{former}` "  # noqa: S608 - our own path and names
                f"WHERE `{name}` IS NULL AND `{former}` IS NOT NULL"
            ).collect()
    finally:
        spark.conf.unset(_METADATA)


def _days_to_read(spark: "SparkSession", silver: str, rest: Rest) -> list[date]:
    table = spark.read.format("delta").load(silver)
    if not rest.everything:
        if not rest.keys:
            return []
        listed = ", ".join(quote(key) for key in rest.keys)
        table = table.where(f"_rescued IS NOT NULL AND arrays_overlap(json_object_keys(_rescued), array({listed}))")
    return sorted(row["event_date"] for row in table.select("event_date").distinct().collect())


@again_after_conflict
def _quarantine_what_fails_now(
    spark: "SparkSession", contract: StreamContract, paths: LakePaths, days: list[date]
) -> None:
    """Put into quarantine what the changed contract rejects of event dates: no row leaves silver without a trace.

    A value of the wrong type in a field that the contract did not know is such a case.
    """
    known = last_plan(paths.bronze(contract.name))
    if known is None:
        return
    through = merged_through(paths.silver(contract.name))
    arrived = "true" if contract.is_cdc else " OR ".join(f"({arrival_window(contract, day)})" for day in days)
    of_days = "true" if contract.is_cdc else f"event_date IN ({date_list(days)})"
    with spark_errors():
        bronze = (
            spark.read.format("delta").load(paths.bronze(contract.name)).where(f"batch <= {through} AND ({arrived})")
        )
        judged = judge_as_decided(bronze, contract, known[0].generations, paths)
        broken = where_judged(judged, f"_broken != '' AND {of_days}")
        touched = [row["arrival_date"] for row in broken.select("arrival_date").distinct().collect()]
        if not touched:
            return
        as_quarantine(broken, contract).createOrReplaceTempView(_SOURCE)
        same = " AND ".join(f"t.{name} = s.{name}" for name in ("arrival_date", "topic_id", "partition", "offset"))
        rewritten = ", ".join(f"{name} = s.{name}" for name in ("reasons", "error_type", "error_message", "record"))
        spark.conf.set(
            _METADATA, json.dumps({"kind": "evolution", "stream": contract.name, "days": [str(day) for day in days]})
        )
        try:
            spark.sql(
                f"MERGE INTO delta.`{paths.quarantine(contract.name)}` t USING {_SOURCE} s "
                f"ON t.arrival_date IN ({date_list(sorted(touched))}) AND {same} "
                f"WHEN MATCHED AND t.reasons <> s.reasons THEN UPDATE SET {rewritten} WHEN NOT MATCHED THEN INSERT *"
            ).collect()
        finally:
            spark.conf.unset(_METADATA)
