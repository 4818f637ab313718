"""Silver and quarantine against their definition: what contract and decisions make of bronze, anew.

Here: the rebuild. Not here: comparing it with the tables (`lake.proofs.compare`).
"""

from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.spark import materialised
from lakehouse.lake.decisions import judge_as_decided
from lakehouse.lake.ledger import last_plan
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.proofs.compare import Groups, Sides, fingerprints, sentences
from lakehouse.lake.proofs.finding import Finding
from lakehouse.lake.schema.accepted import unfollowed
from lakehouse.lake.schema.retained import closed_before, deleted
from lakehouse.transforms.events import silver_columns, slim, valid_rows
from lakehouse.transforms.rejects import as_quarantine
from lakehouse.transforms.winners import winner_per_key

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ALL = "true"
_SILVER, _REBUILT, _QUARANTINE, _REJECTED, _READ = "silver", "rebuilt", "quarantine", "rejected", "read"


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
    judged = materialised(slim(judge_as_decided(bronze, contract, generations, paths, independent=True), contract))
    valid = valid_rows(judged, contract).where(open_dates)
    expected = winner_per_key(valid, contract)
    rejects = as_quarantine(judged.where("_broken != ''"), contract)
    quarantine = spark.read.format("delta").load(paths.quarantine(contract.name)).where(f"batch <= {through}")
    actual, held_rejects = silver.where(open_dates), quarantine.where(rejects_kept).select(*rejects.columns)
    wanted_rejects = rejects.where(rejects_kept)
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
    topic = contract.topic.name
    silver_sides = Sides(actual, expected, "event_date", topic)
    dates = sentences("event date", "rows", found[_SILVER], found[_REBUILT], silver_sides)
    reject_sides = Sides(held_rejects, wanted_rejects, "arrival_date", topic, ("partition", "offset"))
    days = sentences("arrival day", "rejected rows", found[_QUARANTINE], found[_REJECTED], reject_sides)
    findings = [Finding(contract.name, "silver", text) for text in dates]
    findings += [Finding(contract.name, "quarantine", text) for text in days]
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


def _rows(groups: Groups) -> int:
    return sum(rows for rows, _ in groups.values())
