"""Running totals of a stream, out of its Delta logs: cheap enough to ask several times a second.

Here: adding up commits that were not seen before. Not here: proving that they are right (`lake.verify`).
"""

from dataclasses import dataclass
from datetime import datetime

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.ledger import Commit, commits
from lakehouse.lake.paths import LakePaths


@dataclass
class Totals:
    """Rows so far. `ages` holds per bronze batch the age of its oldest record at the commit (seconds), and its rows."""

    bronze: int = 0
    silver_read: int = 0
    valid: int = 0
    rejected: int = 0
    through: int = -1
    last_batch: int = -1
    ages: list[tuple[float, int]] | None = None

    def age(self, share: float) -> float | None:
        """The age in seconds that this share of the rows stayed under, by their batch's oldest record."""
        known = sorted(self.ages or [])
        total = sum(rows for _, rows in known)
        seen = 0
        for seconds, rows in known:
            seen += rows
            if seen >= share * total:
                return seconds
        return None


class Tally:
    """Follows one stream's bronze and silver logs."""

    def __init__(self, contract: StreamContract, paths: LakePaths) -> None:
        self._bronze = paths.bronze(contract.name)
        self._silver = paths.silver(contract.name)
        self._seen = {self._bronze: -1, self._silver: -1}
        self.totals = Totals(ages=[])

    def update(self) -> Totals:
        """Add what was committed since the last call and return the totals."""
        totals = self.totals
        for commit in self._new(self._bronze):
            if commit.metadata.get("kind") == "bronze":
                rows = int(commit.metrics.get("numOutputRows", 0))
                totals.bronze += rows
                totals.last_batch = max(totals.last_batch, commit.metadata["batch"])
                if totals.ages is not None and (age := oldest_age(commit)) is not None:
                    totals.ages.append((age, rows))
        for commit in self._new(self._silver):
            if commit.metadata.get("kind") == "silver":
                totals.silver_read += commit.metadata["read"]
                totals.valid += commit.metadata["valid"]
                totals.rejected += commit.metadata["rejected"]
                totals.through = max(totals.through, commit.metadata["through"])
        return totals

    def _new(self, path: str) -> list[Commit]:
        fresh = []
        for commit in commits(path):
            if commit.version <= self._seen[path]:
                break
            fresh.append(commit)
        if fresh:
            self._seen[path] = fresh[0].version
        return fresh


def oldest_age(commit: Commit) -> float | None:
    """Seconds from the broker's time of the oldest record of a commit to the commit; None when it has no statistics."""
    oldest = [
        stats["minValues"]["timestamp"] for stats in commit.added_stats if "timestamp" in stats.get("minValues", {})
    ]
    if not oldest:
        return None
    return max(0.0, commit.committed_at.timestamp() - datetime.fromisoformat(min(oldest)).timestamp())
