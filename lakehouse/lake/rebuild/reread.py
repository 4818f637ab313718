"""Rows that an earlier schema wrote, brought to what the accepted one makes of the same events.

Here: the part of an evolution that touches rows; the next drain does it first. Not here: columns
(`lake.schema.evolve`), how a day is recomputed (`lake.rebuild.backfill`). Killed in between, it is done again from the
start, with the same end.
"""

from datetime import date
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.engine.spark import spark_errors
from lakehouse.lake.decisions import judge_as_decided
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.guards.locks import exclusive, silver_lock
from lakehouse.lake.ledger import last_plan
from lakehouse.lake.log.metadata import commits_say
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rebuild.backfill import rebuild_days
from lakehouse.lake.schema.accepted import Rest, note_accepted, read_accepted
from lakehouse.quality.rules import quote
from lakehouse.settings import Settings
from lakehouse.transforms.events import where_judged

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_LOCK_SECONDS = 900.0


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
        days = _days_to_read(spark, contract, paths, accepted.rest)
        # Rows of a `cdc` stream move from date to date; there all dates are one.
        for some in [days] if contract.is_cdc and days else [[day] for day in days]:
            rebuild_days(spark, contract, paths, some)
            crash_point("evolve_after_day")
        again_after_conflict(note_accepted)(spark, silver, accepted.model_copy(update={"rest": Rest()}))
    return days


@again_after_conflict
def _fill(spark: "SparkSession", contract: StreamContract, silver: str, name: str, former: str) -> None:
    """Carry the values of a renamed column over. Rows written since have none under the former name."""
    metadata = {"kind": "rename", "stream": contract.name, "from": former, "to": name}
    with commits_say(spark, metadata), spark_errors():
        spark.sql(
            f"UPDATE delta.`{silver}` SET `{name}` = `{former}` "  # noqa: S608 - our own path and names
            f"WHERE `{name}` IS NULL AND `{former}` IS NOT NULL"
        ).collect()


def _days_to_read(spark: "SparkSession", contract: StreamContract, paths: LakePaths, rest: Rest) -> list[date]:
    table = spark.read.format("delta").load(paths.silver(contract.name))
    if rest.everything:
        found = table.select("event_date").union(_dates_of_rejects_that_pass(spark, contract, paths))
    elif rest.keys:
        listed = ", ".join(quote(key) for key in rest.keys)
        found = table.where(f"arrays_overlap(json_object_keys(_rescued), array({listed}))").select("event_date")
    else:
        return []
    return sorted(row["event_date"] for row in found.distinct().collect())


def _dates_of_rejects_that_pass(spark: "SparkSession", contract: StreamContract, paths: LakePaths) -> "DataFrame":
    """Event dates of quarantined records that fit the contract now; silver may have no row of such a date yet."""
    newest = last_plan(paths.bronze(contract.name))
    bronze, held = (spark.read.format("delta").load(path(contract.name)) for path in (paths.bronze, paths.quarantine))
    records = bronze.join(held, ["arrival_date", "topic_id", "partition", "offset"], "left_semi")
    judged = judge_as_decided(records, contract, newest[0].generations if newest else (), paths)
    return where_judged(judged, "_broken = ''", ["event_date"])
