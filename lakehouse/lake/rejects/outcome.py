"""The words of a replay: which records are chosen, what becomes of them, what is reported. Here: shapes and counting.

Not here: changing tables (`lake.rejects.replay`).
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from lakehouse.lake.rejects.ids import RecordName
from lakehouse.quality.rules import quote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

RELEASED, REWRITTEN, KEPT = "released", "rewritten", "kept"


class Misplaced(NamedTuple):
    """Rows of silver that break an error rule of today, and the event dates between which they lie."""

    rows: int
    first: date
    last: date


@dataclass(frozen=True)
class Choice:
    """Which quarantined records to judge again: those with this reason, those so named; all when neither is given."""

    reason: str | None = None
    names: tuple[RecordName, ...] = ()

    def condition(self) -> str:
        """SQL over quarantine."""
        parts = []
        if self.reason is not None:
            parts.append(f"array_contains(reasons, {quote(self.reason)})")
        return " AND ".join([*parts, self.of_records()])

    def of_records(self) -> str:
        """SQL over quarantine and bronze alike: which records, by name."""
        return "(" + " OR ".join(_is(name) for name in self.names) + ")" if self.names else "true"


@dataclass(frozen=True)
class ReplayReport:
    """What a replay did, or would do.

    Attributes:
        stream: Its name.
        judged: Quarantined records that were looked at.
        released: Of these, now valid: they left quarantine.
        silver_rows: Rows of silver that were inserted or changed; fewer when a later row of the same key is there.
        rewritten: Still rejected, with other reasons than before.
        kept: Still rejected as before.
        reasons: Rows per reason of today among those that stay.
        misplaced: Rows of silver that a rule of today would reject; a replay leaves them there.
        seconds: Time taken.
    """

    stream: str
    judged: int = 0
    released: int = 0
    silver_rows: int = 0
    rewritten: int = 0
    kept: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    misplaced: Misplaced | None = None
    seconds: float = 0.0


class Found(NamedTuple):
    """Counts of the judged records by what becomes of them, and the event dates of those that pass."""

    by_fate: Counter[str]
    reasons: Counter[str]
    failed: Counter[str]
    event_dates: list[str]


def count_fates(judged: "DataFrame") -> Found:
    """Count judged records that carry a `_fate`, in one pass."""
    found = Found(Counter(), Counter(), Counter(), [])
    dates = set()
    # The date of a rejected record may be one that Python cannot hold.
    day = "CASE WHEN _broken = '' THEN cast(event_date AS string) END AS day"
    fates = judged.selectExpr("_fate", "_broken", "_failed", day)
    for group in fates.groupBy("_fate", "_broken", "_failed", "day").count().collect():
        rows = group["count"]
        found.by_fate[group["_fate"]] += rows
        if group["_broken"]:
            found.reasons.update(dict.fromkeys(group["_broken"].split(","), rows))
            continue
        dates.add(group["day"])
        if group["_failed"]:
            found.failed.update(dict.fromkeys(group["_failed"].split(","), rows))
    found.event_dates.extend(sorted(dates))
    return found


def _is(name: RecordName) -> str:
    here = f"partition = {name.partition} AND offset = {name.offset}"
    return f"({here} AND topic_id = {quote(name.topic_id)})" if name.topic_id else f"({here})"
