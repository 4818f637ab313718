"""Retention: rows of bronze and quarantine that are older than their contract allows are archived, then deleted.

What goes, whole arrival days, is noted in the table first: a crash leaves too early a note, never a loss without one.
`verify` counts those rows; they are never "lost". Silver keeps what it made of them, and nobody makes it anew: see
`closed_before` in `lake.schema.retained`.
Here: the delete. Not here: when it runs (`lake.maintenance.upkeep`), what verify makes of it (`lake.proofs`).
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.engine.spark import spark_errors
from lakehouse.engine.spark_client import set_all
from lakehouse.lake.guards.conflicts import again_after_conflict
from lakehouse.lake.guards.durable import settle_folder
from lakehouse.lake.ledger import merged_through, plans
from lakehouse.lake.maintenance.table_files import data_files
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.schema.retained import Deleted, configuration, deleted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_APPEND_ONLY = "delta.appendOnly"
_CONF = "spark.databricks.delta"


@dataclass(frozen=True)
class Expired:
    """What a run deleted, or in a dry run would delete: arrival days, their rows, and where they were archived."""

    days: tuple[str, ...] = ()
    rows: int = 0
    archive: str = ""


NOTHING = Expired()


def expire(
    spark: "SparkSession",
    contract: StreamContract,
    paths: LakePaths,
    layer: str,
    *,
    dry_run: bool = False,
    durable: bool = True,
) -> Expired:
    """Delete the arrival days of one layer that are older than its contract allows, in one commit.

    What silver has not judged yet stays, however old it is.

    Args:
        spark: A session.
        contract: The stream; its `retention` says how long.
        paths: The lake.
        layer: bronze or quarantine; others are never touched.
        dry_run: Only say what would be deleted.
        durable: Bring the archive to the disk before anything is deleted.
    """
    age = contract.retention.of(layer)
    if age is None:
        return NOTHING
    path = str(getattr(paths, layer)(contract.name))
    before = min([(datetime.now(UTC) - age).date(), *_unmerged_days(paths, contract.name)])
    old = [file for file in data_files(path) if file.partition[0] < before.isoformat()]
    rows = sum(file.rows - file.deleted for file in old)
    days = tuple(sorted({file.partition[0] for file in old}))
    # Each run has a folder: an arrival day that is drained very late is archived once more, with its new rows alone.
    run = _last_run(path, contract.name) + 1
    archive = f"{paths.archive(layer, contract.name)}/run={run}" if contract.retention.archive and days else ""
    if not dry_run:
        if days:
            _delete(spark, path, layer, contract.name, Deleted(before, run, rows), archive, durable=durable)
        _forbid_deletes(spark, path, layer)
    return Expired(days, rows, archive)


@again_after_conflict
def _delete(
    spark: "SparkSession", path: str, layer: str, stream: str, wanted: Deleted, archive: str, *, durable: bool
) -> None:
    condition = f"arrival_date < DATE'{wanted.before}'"
    settings = {
        f"{_CONF}.write.txnAppId": _app_id(stream),
        f"{_CONF}.write.txnVersion": str(wanted.run),
        f"{_CONF}.commitInfo.userMetadata": json.dumps(
            {"kind": "retention", "stream": stream, "before": str(wanted.before), "rows": wanted.rows}
        ),
    }
    with spark_errors():
        if archive:
            rows = spark.read.format("delta").load(path).where(condition)
            rows.write.mode("overwrite").partitionBy("arrival_date").parquet(archive)
            if durable:
                # The delete that follows is brought to the disk too; without this it might survive the only copy.
                settle_folder(archive)
        crash_point("retention_after_archive")
        _note(spark, path, layer, wanted)
        crash_point("retention_after_note")
        set_all(spark, settings)
        try:
            spark.sql(f"DELETE FROM delta.`{path}` WHERE {condition}").collect()  # noqa: S608 - our own path and a date
        finally:
            for name in settings:
                spark.conf.unset(name)
        crash_point("retention_after_delete")


def _note(spark: "SparkSession", path: str, layer: str, wanted: Deleted) -> None:
    """Say in the table what is about to go; a run that was killed and comes again replaces its own note."""
    known = deleted(path)
    if known is not None:
        earlier = known.earlier if known.run == wanted.run else known.total
        wanted = Deleted(max(known.before, wanted.before), wanted.run, wanted.rows, earlier)
    allowed = f", '{_APPEND_ONLY}' = 'false'" if layer == "bronze" else ""
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ({wanted.property_sql()}{allowed})").collect()


@again_after_conflict
def _forbid_deletes(spark: "SparkSession", path: str, layer: str) -> None:
    """Bronze is append-only again; also after a run that was killed before it came so far."""
    if layer == "bronze" and configuration(path).get(_APPEND_ONLY) == "false":
        with spark_errors():
            spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('{_APPEND_ONLY}' = 'true')").collect()


def _unmerged_days(paths: LakePaths, stream: str) -> list[date]:
    """Arrival days of the bronze batches that silver has not judged yet."""
    through = merged_through(paths.silver(stream))
    days = []
    for plan, _ in plans(paths.bronze(stream)):
        if plan.batch <= through:
            break
        days.append(plan.day)
    return days


def _app_id(stream: str) -> str:
    return f"retention/{stream}"


def _last_run(path: str, stream: str) -> int:
    from deltalake import DeltaTable

    return int(DeltaTable(path, without_files=True).transaction_version(_app_id(stream)) or 0)
