"""Every version of every row, out of the changes of a stream: slowly changing dimension, type 2.

Here: a pure DataFrame → DataFrame step. Not here: keeping the table (`lake.history`). The table holds each change of
each key, not only those that begin a version: a late change can make any of them begin one.
"""

from typing import TYPE_CHECKING

from lakehouse.contracts.change import VERSION_COLUMNS
from lakehouse.contracts.model import StreamContract
from lakehouse.transforms.events import silver_columns
from lakehouse.transforms.winners import OF_TRUNCATE, truncate_key, winning_order

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CHANGE_ID = "_change"
"""With the key, what tells the changes of a stream apart; the same change that is told twice has it twice."""


def history_columns(contract: StreamContract) -> list[str]:
    """The columns of the history table, in order."""
    return [*silver_columns(contract), CHANGE_ID, *VERSION_COLUMNS]


def changes_of(rows: "DataFrame", contract: StreamContract) -> "DataFrame":
    """Each change once, of rows in the shape of silver (with or without its id): the last that tells of it counts."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention
    from pyspark.sql.window import Window

    named = rows.select(*silver_columns(contract)).withColumn(CHANGE_ID, F.expr(_change_id(contract)))
    order = [F.col(name).desc() for name in winning_order(contract)]
    window = Window.partitionBy(*contract.key, CHANGE_ID).orderBy(*order)
    return named.withColumn("_rank", F.row_number().over(window)).where("_rank = 1").drop("_rank")


def with_versions(changes: "DataFrame", contract: StreamContract) -> "DataFrame":
    """Changes with the versions that they make.

    A change begins a version when a tracked field differs from the change before it; a delete ends one. `valid_from` is
    the time of that change, but never before that of an earlier change: the order is the source's, not its clock's.
    `valid_to` is where the next version or the delete begins. Changes that begin no version have neither.

    A truncate ends the version of every key that comes before it. It is a change without a key.

    Args:
        changes: All changes of the keys concerned, each once, and all truncates.
        contract: The stream.

    Returns:
        The history table's rows.
    """
    keys = ", ".join(f"`{name}`" for name in contract.key)
    order = ", ".join(f"`{name}`" for name in winning_order(contract))
    over = f"PARTITION BY {keys} ORDER BY {order}"
    deleted = "_deleted" if contract.is_cdc else "false"
    state = f"struct({', '.join([f'{deleted} AS _gone', *(f'`{name}`' for name in contract.tracked)])})"
    told = _with_ends(changes, contract).selectExpr(
        "*",
        f"{_is_placed(contract)} AS _placed",
        f"bool_or({_is_placed(contract)}) OVER (PARTITION BY {keys}) AS _is_ordered",
    )
    placed = told.selectExpr(
        "*",
        # A tombstone that does not say its place comes before everything that does, but not by its time.
        f"max(CASE WHEN _placed OR NOT _is_ordered THEN `{contract.event_time}` END) OVER ({over}) AS _since",
        f"NOT ({state} <=> lag({state}) OVER ({over})) AS _moves",
    )
    later = f"{over} ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING"
    ends = placed.selectExpr(
        "*",
        f"_moves AND NOT {deleted} AS is_version",
        f"min(CASE WHEN _moves THEN _since END) OVER ({later}) AS _until",
    )
    return ends.where("NOT _is_end").selectExpr(
        *(f"`{name}`" for name in silver_columns(contract)),
        CHANGE_ID,
        f"CASE WHEN is_version THEN coalesce(_since, `{contract.event_time}`) END AS valid_from",
        "CASE WHEN is_version THEN _until END AS valid_to",
        "is_version",
        "is_version AND _until IS NULL AS is_current",
    )


def _with_ends(changes: "DataFrame", contract: StreamContract) -> "DataFrame":
    """The changes, and (`_is_end`) each truncate once more as a delete of the keys whose changes it follows."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    if not contract.applies_truncates:
        return changes.withColumn("_is_end", F.lit(False))
    names = [*silver_columns(contract), CHANGE_ID]
    is_truncate = f"`{truncate_key(contract)}` IS NULL"
    place = ", ".join(winning_order(contract))
    told = ", ".join(dict.fromkeys((*winning_order(contract), *OF_TRUNCATE)))
    order = ", ".join(f"t.{name}" for name in winning_order(contract))
    truncates = changes.where(is_truncate).selectExpr(f"array_sort(collect_list(struct({told}))) AS _truncates")
    # Only the first truncate after a change can end what the change began.
    following = f"filter(_truncates, t -> struct({order}) > struct({place}))"
    doubled = (
        changes.crossJoin(F.broadcast(truncates))
        .selectExpr("*", f"CASE WHEN NOT {is_truncate} THEN try_element_at({following}, 1) END AS _end")
        .selectExpr("*", "explode(CASE WHEN _end IS NULL THEN array(false) ELSE array(false, true) END) AS _is_end")
    )
    values = {name: f"_end.{name}" if name in OF_TRUNCATE else "NULL" for name in names}
    values |= {name: f"`{name}`" for name in contract.key}
    return doubled.selectExpr(
        *(f"CASE WHEN _is_end THEN {value} ELSE `{name}` END AS `{name}`" for name, value in values.items()), "_is_end"
    )


def _is_placed(contract: StreamContract) -> str:
    """SQL: the change says its place in the source's order."""
    return "coalesce(array_max(_position) >= 0, false)" if contract.is_cdc else "true"


def _change_id(contract: StreamContract) -> str:
    """A change is told apart by its place in the source's order; where that is not known, by its place in Kafka."""
    if not contract.is_cdc:
        return f"cast(unix_micros(`{contract.event_time}`) AS string)"
    in_kafka = "concat_ws('/', _generation, _partition, _offset)"
    return f"CASE WHEN {_is_placed(contract)} THEN array_join(_position, ',') ELSE {in_kafka} END"
