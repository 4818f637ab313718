"""All records of one key, in winning order, and the row that silver made of them.

Here: who beat whom, and by what. Not here: a single record's rules (`traces.verdict`), gold (`traces.gold`).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.change import CHANGED_AT
from lakehouse.contracts.model import StreamContract
from lakehouse.lake.decisions import judge_as_decided
from lakehouse.lake.ledger import commits
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rebuild.backfill import arrival_window
from lakehouse.lake.traces.answer import SilverRow, State, Version
from lakehouse.quality.rules import quote
from lakehouse.transforms.events import silver_columns, where_judged
from lakehouse.transforms.winners import truncate_key, winning_order

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

# A key with more records than this is told by the first of them in winning order.
MOST_VERSIONS = 500
TRUNCATE = "truncate"
_DECIDERS = ("topic generation", "partition", "offset")


def versions_of(
    spark: "SparkSession",
    contract: StreamContract,
    paths: LakePaths,
    *,
    key: Sequence[str],
    day: date | None,
    generations: tuple[str, ...],
    through: int,
) -> list[Version]:
    """Every bronze record with this key, winners first, newest event date first.

    Args:
        spark: A session.
        contract: The stream.
        paths: The lake.
        key: The business key as text.
        day: The event date, when it is known: fewer arrival days are read. Records of the key with another event date
            are then told only as far as they arrived on those days.
        generations: The topic ids of the stream, oldest first.
        through: The last bronze batch that silver holds.
    """
    bronze = spark.read.format("delta").load(paths.bronze(contract.name))
    if day is not None and not contract.is_cdc:
        bronze = bronze.where(arrival_window(contract, day))
    candidates = bronze.where(_may_have(contract, key))
    judged = where_judged(judge_as_decided(candidates, contract, generations, paths), key_is(contract, key))
    truncate = truncate_row(spark, contract, paths)
    rows = (
        judged.orderBy(*(_first_come_the_strong(name, contract) for name in winning_order(contract)))
        .limit(MOST_VERSIONS)
        .selectExpr(
            "_topic_id",
            "_generation",
            "_partition",
            "_offset",
            "_batch",
            f"{_first_decider(contract)} AS _first",
            f"{time_text(contract.event_time)} AS _at",
            "event_date",
            "_broken",
        )
        .collect()
    )
    last = tuple(truncate.row[name] for name in winning_order(contract)) if truncate else ()
    return ranked([row.asDict() for row in rows], contract, through, last)


def ranked(
    rows: list[dict[str, Any]], contract: StreamContract, through: int, truncate: tuple[Any, ...] = ()
) -> list[Version]:
    """Give every record its state: one valid record that silver has read wins, the others say why not.

    One wins per event date; of change records, one in all.

    Args:
        rows: `_first` (event time in microseconds, or the source's position), `_generation`, `_partition`, `_offset`,
            `_batch`, `event_date`, `_broken`, `_at`.
        contract: The stream; its mode says whether the last or the first wins.
        through: The last bronze batch that silver holds.
        truncate: The place of the last truncate in the winning order, if there was one: what comes before it is gone.
    """
    last_wins = contract.latest_wins
    winners: dict[date | None, dict[str, Any]] = {}
    for row in rows:
        if row["_broken"] or row["_batch"] > through:
            continue
        best = winners.get(_group(row, contract))
        if best is None or (_rank(row) > _rank(best)) == last_wins:
            winners[_group(row, contract)] = row
    states: dict[State, int] = {"in_silver": 0, "beaten": 1, "not_merged": 1, "quarantined": 2}

    def place(row_and_version: tuple[dict[str, Any], Version]) -> tuple[Any, ...]:
        row, version = row_and_version
        rank = _rank(row) if row["_first"] is not None else ()
        day = (_group(row, contract) or date.min).toordinal()
        return -day, states[version.state], tuple(map(_downwards, rank)) if last_wins else rank

    found = [(row, _version(row, winners.get(_group(row, contract)), contract, through)) for row in rows]
    taken = [
        (row, replace(version, state="beaten", beaten_by=TRUNCATE))
        if version.state in ("in_silver", "beaten") and _rank(row) < truncate
        else (row, version)
        for row, version in found
    ]
    return [version for _, version in sorted(taken, key=place)]


def decided_by(winner: tuple[Any, ...], loser: tuple[Any, ...], first: str = "event time") -> str:
    """The first part of the order (`first`, topic generation, partition, offset) in which the two differ."""
    return next(name for name, a, b in zip((first, *_DECIDERS), winner, loser, strict=True) if a != b)


def _group(row: dict[str, Any], contract: StreamContract) -> date | None:
    """What besides the key the records of one row of silver share."""
    return None if contract.is_cdc else row["event_date"]


def _first_decider(contract: StreamContract) -> str:
    return "_position" if contract.is_cdc else f"unix_micros(`{contract.event_time}`)"


def _downwards(part: Any) -> Any:
    return [-number for number in part] if isinstance(part, list) else -part


def _version(row: dict[str, Any], winner: dict[str, Any] | None, contract: StreamContract, through: int) -> Version:
    beaten_by = ""
    state: State = "in_silver"
    if row["_broken"]:
        state = "quarantined" if row["_batch"] <= through else "not_merged"
    elif row["_batch"] > through:
        state = "not_merged"
    elif winner is not None and winner is not row:
        first = "source position" if contract.is_cdc else "event time"
        state, beaten_by = "beaten", decided_by(_rank(winner), _rank(row), first)
    return Version(
        topic_id=row["_topic_id"],
        generation=row["_generation"],
        partition=row["_partition"],
        offset=row["_offset"],
        batch=row["_batch"],
        event_time=row["_at"],
        event_date=row["event_date"],
        state=state,
        reasons=row["_broken"].split(",") if row["_broken"] else [],
        beaten_by=beaten_by,
    )


def _rank(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["_first"], row["_generation"], row["_partition"], row["_offset"]


def silver_row(
    spark: "SparkSession", contract: StreamContract, paths: LakePaths, key: Sequence[str], day: date
) -> SilverRow | None:
    """What silver holds now for a key and event date; None when it holds nothing."""
    is_it = key_is(contract, key) if contract.is_cdc else f"event_date = DATE'{day}' AND {key_is(contract, key)}"
    return _held(spark, contract, paths, is_it)


def truncate_row(spark: "SparkSession", contract: StreamContract, paths: LakePaths) -> SilverRow | None:
    """The last truncate of the source's table that silver knows; None when it applied none."""
    if not contract.applies_truncates:
        return None
    return _held(spark, contract, paths, f"`{truncate_key(contract)}` IS NULL")


def _held(spark: "SparkSession", contract: StreamContract, paths: LakePaths, is_it: str) -> SilverRow | None:
    rows = (
        spark.read.format("delta")
        .load(paths.silver(contract.name))
        .where(is_it)
        .selectExpr(*(_plain(contract, name) for name in silver_columns(contract)))
        .limit(1)
        .collect()
    )
    if not rows:
        return None
    row = rows[0].asDict()
    for commit in commits(paths.silver(contract.name)):
        known = commit.metadata
        if known.get("kind") == "silver" and known["after"] < row["_batch"] <= known["through"]:
            return SilverRow(commit.version, commit.committed_at, known["through"], row)
    return SilverRow(None, None, row["_batch"], row)


def key_is(contract: StreamContract, key: Sequence[str]) -> str:
    """SQL: the row has this business key."""
    return " AND ".join(
        f"`{name}` = {quote(text)}"
        if contract.field(name).type == "string"
        else f"cast(`{name}` AS string) = {quote(text)}"
        for name, text in zip(contract.key, key, strict=True)
    )


def _may_have(contract: StreamContract, key: Sequence[str]) -> str:
    """SQL over raw records that leaves out most of those with another key, before anything is parsed.

    A text stands in JSON as it is, unless something in it is escaped; then there is a backslash.
    """
    tests = [
        f"(instr(cast(value AS string), {quote(text)}) > 0 OR instr(cast(value AS string), {quote(chr(92))}) > 0)"
        for name, text in zip(contract.key, key, strict=True)
        if (spec := contract.field(name)).type == "string" and spec.parse is None and spec.derive is None
    ]
    told = " AND ".join(tests) or "true"
    # A tombstone has its key nowhere but in the record's key.
    return f"(value IS NULL OR ({told}))" if contract.is_cdc else told


def _plain(contract: StreamContract, name: str) -> str:
    times = {spec.name for spec in contract.fields if spec.type == "timestamp"} | {"_ingested_at", CHANGED_AT}
    return f"{time_text(name)} AS `{name}`" if name in times else f"`{name}`"


def time_text(name: str) -> str:
    """SQL for a time as text: on its way to Python it would take on this machine's time zone."""
    return f"date_format(`{name}`, \"yyyy-MM-dd'T'HH:mm:ss.SSSSSSX\")"


def _first_come_the_strong(name: str, contract: StreamContract) -> "Column":
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    return F.col(name).desc_nulls_last() if contract.latest_wins else F.col(name).asc_nulls_last()
