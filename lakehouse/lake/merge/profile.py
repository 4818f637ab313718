"""What judging found, counted over staged rows. Here: the counts. Not here: what follows from them (`lake.silver`)."""

from collections import Counter
from typing import NamedTuple

from lakehouse.lake.merge.staged import REJECTED, Staged


class Profile(NamedTuple):
    """Rows of a step by verdict; `event_dates` counts the valid ones by event date (ISO)."""

    read: int
    valid: int
    rejected: int
    rejected_by_rule: dict[str, int]
    warned_by_rule: dict[str, int]
    failed_by_rule: dict[str, int]
    event_dates: dict[str, int]


def profile_of(staged: Staged) -> Profile:
    """Count the staged rows."""
    rejected: Counter[str] = Counter()
    warned: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    dates: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for group in staged.verdicts():
        totals["read"] += group.rows
        _add(failed, group.failed, group.rows)
        if group.fate == REJECTED:
            totals["rejected"] += group.rows
            _add(rejected, group.broken, group.rows)
        else:
            dates[group.day] += group.rows
            _add(warned, group.warned, group.rows)
    valid = totals["read"] - totals["rejected"]
    return Profile(
        totals["read"],
        valid,
        totals["rejected"],
        dict(rejected),
        dict(warned),
        dict(failed),
        dict(sorted(dates.items())),
    )


def _add(counter: "Counter[str]", names: str, rows: int) -> None:
    for name in filter(None, names.split(",")):
        counter[name] += rows
