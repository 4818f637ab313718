"""Merging rows into silver: the statement, and the commit's identity and metadata that go with it.

Here: one commit. Not here: which rows (`lake.silver` for new ones, `lake.rejects.replay` for those judged again).
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.schema.accepted import read_accepted, require_followed
from lakehouse.quality.rules import date_list
from lakehouse.transforms.winners import winning_order

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SOURCE = "silver_source"


def merge_winners(
    winners: "DataFrame",
    contract: StreamContract,
    path: str,
    event_dates: Iterable[str],
    metadata: dict[str, Any],
    *,
    transaction: tuple[str, int] | None = None,
) -> int:
    """Merge rows, one per identity, into the silver table at `path`; who wins is as in `winner_per_key`.

    Merging the same rows again changes nothing: a row has to come strictly later (in append mode: earlier) than the one
    that is there.

    Args:
        winners: Materialised rows in the shape of silver.
        contract: The stream.
        path: The silver table.
        event_dates: Event dates (ISO) of these rows; no other partition is read, where there are some.
        metadata: Goes into the commit.
        transaction: Application id and version under which Delta drops a repeated commit.

    Returns:
        Rows inserted or changed.

    Raises:
        SchemaIncompatibleError: the table was brought up to another version of the contract meanwhile.
    """
    accepted = read_accepted(path)
    require_followed(contract, accepted)
    retired = [] if accepted is None else list(accepted.retired)
    conf = winners.sparkSession.conf
    # The source is materialised already; Delta need not do it again.
    conf.set("spark.databricks.delta.merge.materializeSource", "none")
    settings = {"spark.databricks.delta.commitInfo.userMetadata": json.dumps(metadata)}
    if transaction is not None:
        settings["spark.databricks.delta.write.txnAppId"] = transaction[0]
        settings["spark.databricks.delta.write.txnVersion"] = str(transaction[1])
    for key, value in settings.items():
        conf.set(key, value)
    try:
        winners.createOrReplaceTempView(_SOURCE)
        outcome = winners.sparkSession.sql(_statement(contract, path, event_dates, winners.columns, retired)).collect()
    finally:
        for key in settings:
            conf.unset(key)
    return int(outcome[0]["num_affected_rows"]) if outcome else 0


def _statement(
    contract: StreamContract, path: str, event_dates: Iterable[str], columns: list[str], retired: list[str]
) -> str:
    order = winning_order(contract)
    beats = ">" if contract.latest_wins else "<"
    wins = f"struct({', '.join(f's.`{c}`' for c in order)}) {beats} struct({', '.join(f't.`{c}`' for c in order)})"
    days = "" if contract.is_cdc else f"t.event_date IN ({date_list(sorted(event_dates))}) AND "
    same = " AND ".join(f"t.`{name}` = s.`{name}`" for name in contract.identity)
    # A column that the contract no longer has stays, and says nothing about a row that was written since.
    values = {**{name: f"s.`{name}`" for name in columns}, **dict.fromkeys(retired, "NULL")}
    updated = ", ".join(f"`{name}` = {value}" for name, value in values.items())
    names = ", ".join(f"`{name}`" for name in values)
    return (
        f"MERGE INTO delta.`{path}` t USING {_SOURCE} s ON {days}{same} "  # noqa: S608 - our own path and names
        f"WHEN MATCHED AND {wins} THEN UPDATE SET {updated} "
        f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({', '.join(values.values())})"
    )
