"""Silver and quarantine against their definition: what contract and decisions make of bronze, anew.

Here: comparing whole tables by order-independent fingerprints, then naming rows where they differ.
"""

from collections.abc import Mapping
from datetime import date
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import materialised
from lakehouse.lake.decisions import judge_as_decided
from lakehouse.lake.ledger import last_plan
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.proofs.finding import Finding
from lakehouse.lake.schema.accepted import unfollowed
from lakehouse.lake.schema.retained import closed_before, deleted
from lakehouse.transforms.events import silver_columns, slim, valid_rows
from lakehouse.transforms.rejects import as_quarantine
from lakehouse.transforms.winners import winner_per_key

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_NAMED = 5
_ALL = "true"
_SILVER, _REBUILT, _QUARANTINE, _REJECTED, _READ = "silver", "rebuilt", "quarantine", "rejected", "read"

Groups = dict[object, tuple[int, object]]
"""Of a table: rows and the sum of their hashes, by group."""
Fingerprints = dict[str, Groups]
"""The same of several tables, by name."""


class SilverProof(NamedTuple):
    """Row counts through the last merged batch, and what does not hold.

    `closed_rows` of bronze and `unproved_rows` of silver belong to event dates whose other records retention deleted.
    """

    bronze_rows: int
    silver_rows: int
    quarantine_rows: int
    repeats: int
    findings: list[Finding]
    closed_rows: int = 0
    unproved_rows: int = 0


def prove_silver(
    spark: "SparkSession", contract: StreamContract, paths: LakePaths, *, through: int, version: int
) -> SilverProof:
    """Compare silver (at `version`, holding bronze through batch `through`) and quarantine with their rebuild."""
    behind = unfollowed(contract, paths)
    if behind:
        # Columns may be missing; and what differs would be the change itself.
        return SilverProof(0, 0, 0, 0, [Finding(contract.name, "schema", behind)])
    silver = (
        spark.read.format("delta")
        .option("versionAsOf", str(version))
        .load(paths.silver(contract.name))
        .select(*silver_columns(contract))
    )
    known = last_plan(paths.bronze(contract.name))
    open_dates, kept, rejects_kept = _after_retention(contract, paths)
    bronze = spark.read.format("delta").load(paths.bronze(contract.name)).where(f"batch <= {through} AND {kept}")
    # Judged once and kept for both comparisons: parsing is what costs.
    generations = known[0].generations if known else ()
    judged = materialised(slim(judge_as_decided(bronze, contract, generations, paths), contract))
    valid = valid_rows(judged, contract).where(open_dates)
    expected = winner_per_key(valid, contract)
    rejects = as_quarantine(judged.where("_broken != ''"), contract)
    quarantine = spark.read.format("delta").load(paths.quarantine(contract.name)).where(f"batch <= {through}")
    actual, held_rejects = silver.where(open_dates), _identities(quarantine.where(rejects_kept))
    wanted_rejects = _identities(rejects.where(rejects_kept))
    # All in one query: its plan costs more than most streams' rows.
    found = fingerprints(
        {
            _SILVER: (actual, "event_date"),
            _REBUILT: (expected, "event_date"),
            _QUARANTINE: (held_rejects, "arrival_date"),
            _REJECTED: (wanted_rejects, "arrival_date"),
            _READ: (judged.select("arrival_date"), "arrival_date"),
        }
    )
    findings = _different_dates(contract, found, actual, expected)
    findings += _different_rejects(contract, found, held_rejects, wanted_rejects)
    read, rows, rejected = (_rows(found[table]) for table in (_READ, _SILVER, _QUARANTINE))
    if rejects_kept == _ALL:
        return SilverProof(read, rows, rejected, max(0, read - rejected - rows), findings)
    closed = valid_rows(judged, contract).where(f"NOT {open_dates}").count()
    unproved = silver.where(f"NOT {open_dates}").count()
    return SilverProof(read, rows, rejected, valid.count() - rows, findings, closed, unproved)


class _Kept(NamedTuple):
    """What retention left, as SQL conditions: event dates that bronze can prove, arrival days of the two tables."""

    event_dates: str
    bronze: str
    quarantine: str


def _after_retention(contract: StreamContract, paths: LakePaths) -> _Kept:
    closed = closed_before(contract, paths)
    days = [
        found.before if (found := deleted(path)) is not None else None
        for path in (paths.bronze(contract.name), paths.quarantine(contract.name))
    ]
    both = max((day for day in days if day is not None), default=None)
    return _Kept(_since("event_date", closed), _since("arrival_date", days[0]), _since("arrival_date", both))


def _since(column: str, day: date | None) -> str:
    return _ALL if day is None else f"({column} >= DATE'{day}')"


def _different_dates(
    contract: StreamContract, found: Fingerprints, actual: "DataFrame", expected: "DataFrame"
) -> list[Finding]:
    """The event dates on which silver is not what it should be."""
    findings = []
    for day in differing(found[_SILVER], found[_REBUILT]):
        rows, should = _rows_of(found, _SILVER, day), _rows_of(found, _REBUILT, day)
        only_here = actual.where(f"event_date = DATE'{day}'").exceptAll(expected.where(f"event_date = DATE'{day}'"))
        only_there = expected.where(f"event_date = DATE'{day}'").exceptAll(actual.where(f"event_date = DATE'{day}'"))
        text = f"event date {day}: {rows} rows, the rebuild from bronze has {should}"
        text += _named(" · not in the rebuild: ", only_here, contract) + _named(" · missing: ", only_there, contract)
        findings.append(Finding(contract.name, "silver", text))
    return findings


def _identities(rejects: "DataFrame") -> "DataFrame":
    return rejects.select("topic_id", "partition", "offset", "reasons", "arrival_date")


def _different_rejects(
    contract: StreamContract, found: Fingerprints, actual: "DataFrame", expected: "DataFrame"
) -> list[Finding]:
    """The arrival days on which quarantine is not what it should be."""
    findings = []
    for day in differing(found[_QUARANTINE], found[_REJECTED]):
        rows, should = _rows_of(found, _QUARANTINE, day), _rows_of(found, _REJECTED, day)
        text = f"arrival day {day}: {rows} rejected rows, the rebuild from bronze has {should}"
        for label, one, other in ((" · missing: ", expected, actual), (" · not in the rebuild: ", actual, expected)):
            odd = one.exceptAll(other).where(f"arrival_date = DATE'{day}'").limit(_NAMED).collect()
            text += label + ", ".join(f"{r['partition']}:{r['offset']}" for r in odd) if odd else ""
        findings.append(Finding(contract.name, "quarantine", text))
    return findings


def fingerprints(tables: Mapping[str, tuple["DataFrame", str]]) -> Fingerprints:
    """Rows and the sum of row hashes per table and group, in one query: equal multisets have equal sums in any order.

    Args:
        tables: By name, each with the column that it is grouped by, a date.
    """
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    parts = [
        table.select(
            F.lit(name).alias("_table"),
            F.col(by).alias("_by"),
            F.xxhash64(*(F.col(f"`{column}`") for column in table.columns)).cast("decimal(38,0)").alias("_hash"),
        )
        for name, (table, by) in tables.items()
    ]
    groups = reduce(lambda one, other: one.unionAll(other), parts).groupBy("_table", "_by")
    found: Fingerprints = {name: {} for name in tables}
    for group in groups.agg(F.count("*").alias("rows"), F.sum("_hash").alias("hash")).collect():
        found[group["_table"]][group["_by"]] = (group["rows"], group["hash"])
    return found


def differing(one: Groups, other: Groups) -> list[object]:
    """The groups in which two tables differ, in order."""
    return sorted((group for group in one.keys() | other.keys() if one.get(group) != other.get(group)), key=str)


def _rows(groups: Groups) -> int:
    return sum(rows for rows, _ in groups.values())


def _rows_of(found: Fingerprints, table: str, group: object) -> int:
    return found[table].get(group, (0, None))[0]


def _named(label: str, rows: "DataFrame", contract: StreamContract) -> str:
    """A few rows by partition:offset, which say where they came from and carry no personal data."""
    odd = rows.select("_partition", "_offset").limit(_NAMED).collect()
    if not odd:
        return ""
    return f"{label}{contract.topic.name} " + ", ".join(f"{row['_partition']}:{row['_offset']}" for row in odd)
