"""Gold against the silver version it was built from: every total that the contract wants reconciled.

Here: grouping both sides alike and naming the cells that differ. Not here: building gold (`lake.gold.builds`).
"""

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Reconciliation
from lakehouse.engine.duck import duck_connection
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.proofs.finding import Finding
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


def prove_gold(spark: "SparkSession", contract: StreamContract, paths: LakePaths, gold: Path) -> GoldProof:
    """Compare the totals that the contract names. `gold` is the published file; absent means nothing was built yet."""
    if not gold.is_file():
        return GoldProof(None, [])
    with duck_connection(gold, read_only=True) as connection:
        version = _built_from(connection, contract.name)
        if version is None:
            return GoldProof(None, [])
        findings = []
        for wanted in contract.reconcile:
            held = _gold_cells(connection, wanted)
            should = _silver_cells(spark, contract, paths, wanted, version)
            findings += _differences(contract.name, wanted, held, should)
    return GoldProof(version, findings)


def _built_from(connection: "duckdb.DuckDBPyConnection", stream: str) -> int | None:
    row = connection.execute(
        "select silver_version from _build where stream = ? order by built_at desc limit 1", [stream]
    ).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def _gold_cells(connection: "duckdb.DuckDBPyConnection", wanted: Reconciliation) -> Cells:
    by = ", ".join(wanted.by)
    totals = ", ".join(f"sum({name}) as {name}" for name in wanted.totals)
    group = f" group by {by}" if by else ""
    rows = connection.execute(f"select {by}{', ' if by else ''}{totals} from {wanted.table}{group}").fetchall()  # noqa: S608 - names of the contract
    return _cells(rows, wanted)


def _silver_cells(
    spark: "SparkSession", contract: StreamContract, paths: LakePaths, wanted: Reconciliation, version: int
) -> Cells:
    silver = spark.read.format("delta").option("versionAsOf", str(version)).load(paths.silver(contract.name))
    view = "silver_for_reconciliation"
    current_rows(silver, contract).where(wanted.where).createOrReplaceTempView(view)
    by = ", ".join(f"{sql} AS {name}" for name, sql in wanted.by.items())
    totals = ", ".join(f"{sql} AS {name}" for name, sql in wanted.totals.items())
    group = f" GROUP BY {', '.join(wanted.by.values())}" if wanted.by else ""
    rows = spark.sql(f"SELECT {by}{', ' if by else ''}{totals} FROM {view}{group}").collect()  # noqa: S608 - names of the contract
    return _cells([tuple(row) for row in rows], wanted)


def _cells(rows: list[tuple[Any, ...]], wanted: Reconciliation) -> Cells:
    width = len(wanted.by)
    return {
        tuple(str(value) for value in row[:width]): {
            name: Decimal(str(value or 0)) for name, value in zip(wanted.totals, row[width:], strict=True)
        }
        for row in rows
    }


def _differences(stream: str, wanted: Reconciliation, held: Cells, should: Cells) -> list[Finding]:
    findings = []
    for group in sorted(held.keys() | should.keys()):
        for name in wanted.totals:
            gold = held.get(group, {}).get(name, Decimal(0))
            silver = should.get(group, {}).get(name, Decimal(0))
            if gold != silver:
                where = ", ".join(f"{column} {value}" for column, value in zip(wanted.by, group, strict=True))
                text = f"{wanted.table} ({where}): {name} is {gold}, silver has {silver}"
                findings.append(Finding(stream, "gold", text))
    if len(findings) > _NAMED:
        rest = len(findings) - _NAMED
        return [*findings[:_NAMED], Finding(stream, "gold", f"{wanted.table}: {rest} more totals differ")]
    return findings
