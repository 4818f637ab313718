"""The history of a stream (`history: scd2`): every change of every key, with the versions that they make.

Here: bringing a step's changes in, making the table anew from bronze. Not here: what a version is
(`transforms.versions`). The table is a function of the set of changes: bringing in what is there changes nothing. Its
commits carry the step's batch number as silver's do, and come before silver's, so that history is never behind. Who
writes it holds the lock of silver's writers.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import materialised, spark_errors
from lakehouse.engine.spark_client import set_all
from lakehouse.lake.decisions import judge_as_decided
from lakehouse.lake.ledger import current_version, last_commit_of, last_plan
from lakehouse.lake.log.actions import active_adds
from lakehouse.lake.log.append import append
from lakehouse.lake.log.staging import stage_rows, staging_folder
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.schema.accepted import Rest, note_accepted, read_accepted
from lakehouse.lake.schema.tables import history_types, stats_columns
from lakehouse.transforms.events import silver_columns, slim, valid_rows
from lakehouse.transforms.versions import CHANGE_ID, changes_of, history_columns, with_versions
from lakehouse.transforms.winners import truncate_key

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KIND = "history"
_SOURCE = "history_source"


def held_through(path: str) -> int:
    """The last bronze batch that the history holds; -1 when it was never filled."""
    commit = last_commit_of(path, KIND)
    return -1 if commit is None else int(commit.metadata["through"])


def bring_in(rows: "DataFrame", contract: StreamContract, path: str, *, through: int | None) -> None:
    """Add the changes of these rows, and give every change of their keys its place among the versions anew.

    Args:
        rows: Valid rows in the shape of silver.
        contract: The stream.
        path: The history table.
        through: The last bronze batch of the step that they are taken from; the number of the commit. None for rows
            that are no step's, as after a replay of quarantine.
    """
    spark = rows.sparkSession
    fresh = materialised(changes_of(rows, contract))
    version = current_version(path) or 0
    if not active_adds(Path(path), version):
        _fill(with_versions(fresh, contract), contract, path, version, through)
        return
    held = spark.read.format("delta").load(path)
    of_same_keys = held.join(fresh.select(*contract.key).distinct(), list(contract.key), "left_semi")
    if contract.applies_truncates:
        is_truncate = f"`{truncate_key(contract)}` IS NULL"
        # A truncate ends versions of any key; what is brought in may come before one that is there.
        of_same_keys = held if fresh.where(is_truncate).head(1) else of_same_keys.unionByName(held.where(is_truncate))
    together = of_same_keys.select(*silver_columns(contract), CHANGE_ID).unionByName(fresh)
    # Materialised: the merge must not read the table that it changes a second time.
    placed = materialised(with_versions(changes_of(together, contract), contract))
    settings = {"spark.databricks.delta.commitInfo.userMetadata": json.dumps(_metadata(contract, through))}
    if transaction := _transaction(contract, through):
        settings["spark.databricks.delta.write.txnAppId"] = transaction[0]
        settings["spark.databricks.delta.write.txnVersion"] = str(transaction[1])
    spark.conf.set("spark.databricks.delta.merge.materializeSource", "none")
    set_all(spark, settings)
    try:
        placed.createOrReplaceTempView(_SOURCE)
        spark.sql(_statement(contract, path)).collect()
    finally:
        for key in settings:
            spark.conf.unset(key)


def _transaction(contract: StreamContract, through: int | None) -> tuple[str, int] | None:
    """Delta's application id and version of the step; None for rows that are no step's."""
    return None if through is None else (f"{KIND}/{contract.name}", through)


def _metadata(contract: StreamContract, through: int | None) -> dict[str, Any]:
    """What a commit tells of itself; rows that are no step's come of a replay."""
    if through is None:
        return {"kind": "replay", "stream": contract.name}
    return {"kind": KIND, "stream": contract.name, "through": through}


def _fill(placed: "DataFrame", contract: StreamContract, path: str, version: int, through: int | None) -> None:
    """Put the first rows into the table; there is nothing to merge them with."""
    types = history_types(contract)
    rows = placed.selectExpr(*(f"cast(`{name}` AS {kind}) AS `{name}`" for name, kind in types.items()))
    with staging_folder(path) as folder:
        stage_rows(rows, folder, [], fetch=False)
        metadata, transaction = _metadata(contract, through), _transaction(contract, through)
        append(Path(path), folder, version, metadata, stats=stats_columns(contract), transaction=transaction)


def note_empty_step(spark: "SparkSession", contract: StreamContract, path: str, through: int) -> None:
    """Advance the history's position over a step without valid rows."""
    nothing = spark.read.format("delta").load(path).limit(0)
    _writer(nothing, contract, through, "append").option("txnAppId", f"{KIND}/{contract.name}").option(
        "txnVersion", str(through)
    ).save(path)


def rebuild(spark: "SparkSession", contract: StreamContract, paths: LakePaths, through: int) -> None:
    """Make the table anew from bronze through this batch, in one commit."""
    with spark_errors():
        rows = from_bronze(spark, contract, paths, through)
        _writer(rows, contract, through, "overwrite").save(paths.history(contract.name))


def catch_up(spark: "SparkSession", contract: StreamContract, paths: LakePaths, through: int) -> bool:
    """Make the table anew when it lacks batches that silver has, or when its rows are of an older contract.

    It lacks batches when it is new, or was switched off for a while.
    """
    path = paths.history(contract.name)
    accepted = read_accepted(path)
    is_old = accepted is not None and bool(accepted.rest)
    held = held_through(path)
    if held >= through and not is_old:
        return False
    rebuild(spark, contract, paths, max(held, through))
    if accepted is not None and is_old:
        note_accepted(spark, path, accepted.model_copy(update={"rest": Rest()}))
    return True


def from_bronze(spark: "SparkSession", contract: StreamContract, paths: LakePaths, through: int) -> "DataFrame":
    """What the history must hold: all versions, out of bronze alone."""
    known = last_plan(paths.bronze(contract.name))
    bronze = spark.read.format("delta").load(paths.bronze(contract.name)).where(f"batch <= {through}")
    judged = slim(judge_as_decided(bronze, contract, known[0].generations if known else (), paths), contract)
    changes = changes_of(valid_rows(judged, contract), contract)
    # Truncates are looked for first: without keeping the rows, each would be parsed twice.
    return with_versions(materialised(changes) if contract.applies_truncates else changes, contract)


def _writer(rows: "DataFrame", contract: StreamContract, through: int, mode: str) -> Any:
    return rows.write.format("delta").mode(mode).option("userMetadata", json.dumps(_metadata(contract, through)))


def _statement(contract: StreamContract, path: str) -> str:
    equal = "<=>" if contract.applies_truncates else "="
    same = " AND ".join(f"t.`{name}` {equal} s.`{name}`" for name in (*contract.key, CHANGE_ID))
    columns = history_columns(contract)
    before, after = (f"struct({', '.join(f'{side}.`{name}`' for name in columns)})" for side in ("t", "s"))
    # Named one by one: the table keeps columns that the contract has dropped.
    updated = ", ".join(f"`{name}` = s.`{name}`" for name in columns)
    names, values = (", ".join(f"{side}`{name}`" for name in columns) for side in ("", "s."))
    return (
        f"MERGE INTO delta.`{path}` t USING {_SOURCE} s ON {same} "  # noqa: S608 - our own path and names
        f"WHEN MATCHED AND NOT ({before} <=> {after}) THEN UPDATE SET {updated} "
        f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"
    )
