"""Gold against the silver version it was built from: every total that the contract wants reconciled.

Here: grouping both sides alike and naming the cells that differ. Not here: building gold (`lake.gold.builds`).
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Reconciliation
from lakehouse.engine.duck import duck_connection
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.proofs.finding import Finding
from lakehouse.quality.rules import date_list
from lakehouse.transforms.events import current_rows

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import SparkSession

_NAMED = 5
Cells = dict[tuple[str, ...], dict[str, Decimal]]


class GoldProof(NamedTuple):
    """The silver version that gold holds (None: gold was not built from this stream), and what does not hold."""

    silver_version: int | None
    findings: list[Finding]


class Totals(NamedTuple):
    """One gold table against silver: how many totals were compared, and a sentence for each that differs."""

    table: str
    compared: int
    differences: list[str]


def prove_gold(spark: "SparkSession", contract: StreamContract, paths: LakePaths, gold: Path) -> GoldProof:
    """Compare the totals that the contract names. `gold` is the published file; absent means nothing was built yet."""
    if not gold.is_file():
        return GoldProof(None, [])
    with duck_connection(gold, read_only=True) as connection:
        version = _built_from(connection, contract.name)
        if version is None:
            return GoldProof(None, [])
        compared = compare_totals(spark, contract, paths, connection, version)
    return GoldProof(version, [finding for totals in compared for finding in _named(contract.name, totals)])


def compare_totals(
    spark: "SparkSession",
    contract: StreamContract,
    paths: LakePaths,
    gold: "duckdb.DuckDBPyConnection",
    version: int,
    days: Sequence[date] | None = None,
) -> list[Totals]:
    """Every gold table that the contract reconciles, against silver at the version that gold was built from.

    `days` narrows tables that are grouped by event date to these dates; others are compared whole.
    """
    found = []
    for wanted in contract.reconcile:
        held = _gold_cells(gold, wanted, days)
        should = _silver_cells(spark, contract, paths, wanted, version, days)
        compared = len(held.keys() | should.keys()) * len(wanted.totals)
        found.append(Totals(wanted.table, compared, _differences(wanted, held, should)))
    return found


def _built_from(connection: "duckdb.DuckDBPyConnection", stream: str) -> int | None:
    row = connection.execute(
        "select silver_version from _build where stream = ? order by built_at desc limit 1", [stream]
    ).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def _gold_cells(connection: "duckdb.DuckDBPyConnection", wanted: Reconciliation, days: Sequence[date] | None) -> Cells:
    by = ", ".join(wanted.by)
    totals = ", ".join(f"sum({name}) as {name}" for name in wanted.totals)
    group = f" group by {by}" if by else ""
    query = f"select {by}{', ' if by else ''}{totals} from {wanted.table} where {_within('event_date', wanted, days)}"  # noqa: S608 - names of the contract
    return _cells(connection.execute(query + group).fetchall(), wanted)


def _silver_cells(
    spark: "SparkSession",
    contract: StreamContract,
    paths: LakePaths,
    wanted: Reconciliation,
    version: int,
    days: Sequence[date] | None,
) -> Cells:
    silver = spark.read.format("delta").option("versionAsOf", str(version)).load(paths.silver(contract.name))
    view = "silver_for_reconciliation"
    looked_at = silver.where(_within(wanted.by.get("event_date", ""), wanted, days))
    current_rows(looked_at, contract).where(wanted.where).createOrReplaceTempView(view)
    by = ", ".join(f"{sql} AS {name}" for name, sql in wanted.by.items())
    totals = ", ".join(f"{sql} AS {name}" for name, sql in wanted.totals.items())
    group = f" GROUP BY {', '.join(wanted.by.values())}" if wanted.by else ""
    rows = spark.sql(f"SELECT {by}{', ' if by else ''}{totals} FROM {view}{group}").collect()  # noqa: S608 - names of the contract
    return _cells([tuple(row) for row in rows], wanted)


def _within(event_date: str, wanted: Reconciliation, days: Sequence[date] | None) -> str:
    """SQL that both sides understand: the rows of these event dates, where the table is grouped by them."""
    if days is None or "event_date" not in wanted.by:
        return "true"
    return f"{event_date} IN ({date_list(days)})" if days else "false"


def _cells(rows: list[tuple[Any, ...]], wanted: Reconciliation) -> Cells:
    width = len(wanted.by)
    return {
        tuple(str(value) for value in row[:width]): {
            name: Decimal(str(value or 0)) for name, value in zip(wanted.totals, row[width:], strict=True)
        }
        for row in rows
    }


def _differences(wanted: Reconciliation, held: Cells, should: Cells) -> list[str]:
    found = []
    for group in sorted(held.keys() | should.keys()):
        for name in wanted.totals:
            gold = held.get(group, {}).get(name, Decimal(0))
            silver = should.get(group, {}).get(name, Decimal(0))
            if gold != silver:
                where = ", ".join(f"{column} {value}" for column, value in zip(wanted.by, group, strict=True))
                found.append(f"{wanted.table} ({where}): {name} is {gold}, silver has {silver}")
    return found


def _named(stream: str, totals: Totals) -> list[Finding]:
    """The first differences, and how many more there are."""
    said = totals.differences[:_NAMED]
    rest = len(totals.differences) - len(said)
    said += [f"{totals.table}: {rest} more totals differ"] if rest else []
    return [Finding(stream, "gold", text) for text in said]
