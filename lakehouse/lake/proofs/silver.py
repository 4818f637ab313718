"""Silver and quarantine against their definition: what contract and decisions make of bronze, anew.

Here: comparing whole tables by order-independent fingerprints, then naming rows where they differ.
"""

from datetime import date
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
    rows, findings = _compare(contract, silver.where(open_dates), expected)
    rejected, more = _compare_quarantine(contract, quarantine.where(rejects_kept), rejects.where(rejects_kept))
    read = judged.count()
    if rejects_kept == _ALL:
        return SilverProof(read, rows, rejected, max(0, read - rejected - rows), [*findings, *more])
    closed = valid_rows(judged, contract).where(f"NOT {open_dates}").count()
    unproved = silver.where(f"NOT {open_dates}").count()
    return SilverProof(read, rows, rejected, valid.count() - rows, [*findings, *more], closed, unproved)


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


def _compare(contract: StreamContract, actual: "DataFrame", expected: "DataFrame") -> tuple[int, list[Finding]]:
    """Rows in silver, and the event dates that differ."""
    held, wanted = fingerprints(actual, "event_date"), fingerprints(expected, "event_date")
    days = sorted((day for day in held.keys() | wanted.keys() if held.get(day) != wanted.get(day)), key=str)
    findings = []
    for day in days:
        rows, should = held.get(day, (0, 0))[0], wanted.get(day, (0, 0))[0]
        only_here = actual.where(f"event_date = DATE'{day}'").exceptAll(expected.where(f"event_date = DATE'{day}'"))
        only_there = expected.where(f"event_date = DATE'{day}'").exceptAll(actual.where(f"event_date = DATE'{day}'"))
        text = f"event date {day}: {rows} rows, the rebuild from bronze has {should}"
        text += _named(" · not in the rebuild: ", only_here, contract) + _named(" · missing: ", only_there, contract)
        findings.append(Finding(contract.name, "silver", text))
    return sum(rows for rows, _ in held.values()), findings


def _compare_quarantine(
    contract: StreamContract, actual: "DataFrame", expected: "DataFrame"
) -> tuple[int, list[Finding]]:
    """Rows in quarantine, and the arrival days that differ."""
    identity = ["topic_id", "partition", "offset", "reasons", "arrival_date"]
    actual, expected = actual.select(*identity), expected.select(*identity)
    held, wanted = fingerprints(actual, "arrival_date"), fingerprints(expected, "arrival_date")
    findings = []
    for day in sorted((day for day in held.keys() | wanted.keys() if held.get(day) != wanted.get(day)), key=str):
        rows, should = held.get(day, (0, 0))[0], wanted.get(day, (0, 0))[0]
        text = f"arrival day {day}: {rows} rejected rows, the rebuild from bronze has {should}"
        for label, one, other in ((" · missing: ", expected, actual), (" · not in the rebuild: ", actual, expected)):
            odd = one.exceptAll(other).where(f"arrival_date = DATE'{day}'").limit(_NAMED).collect()
            text += label + ", ".join(f"{r['partition']}:{r['offset']}" for r in odd) if odd else ""
        findings.append(Finding(contract.name, "quarantine", text))
    return sum(rows for rows, _ in held.values()), findings


def fingerprints(table: "DataFrame", by: str) -> dict[object, tuple[int, object]]:
    """Rows and the sum of row hashes per group: equal multisets have equal sums, whatever their order."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

    hashed = table.withColumn("_hash", F.xxhash64(*(F.col(f"`{c}`") for c in table.columns)).cast("decimal(38,0)"))
    groups = hashed.groupBy(by).agg(F.count("*").alias("rows"), F.sum("_hash").alias("hash")).collect()
    return {group[by]: (group["rows"], group["hash"]) for group in groups}


def _named(label: str, rows: "DataFrame", contract: StreamContract) -> str:
    """A few rows by partition:offset, which say where they came from and carry no personal data."""
    odd = rows.select("_partition", "_offset").limit(_NAMED).collect()
    if not odd:
        return ""
    return f"{label}{contract.topic.name} " + ", ".join(f"{row['_partition']}:{row['_offset']}" for row in odd)
