"""What a benchmark says: figures with targets and limits, percentiles, the tables made of them.

Here: values and text. Not here: measuring anything.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Better = Literal["higher", "lower"]

COLUMNS = ["what", "measured", "target", "met", "physical limit here", "note"]


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Attributes:
        name: Stable key in the JSON results.
        title: The same for people.
        value: What was measured, in `unit`.
        unit: rows/s, MB/s, s, ms, MB or x (a ratio).
        better: Whether a higher or a lower value is better.
        target: What it should reach; None where there is no promise.
        limit: What the machine itself could do in the same run, in the same unit; None where that means nothing.
        limit_title: What the limit is.
        note: Conditions that the value depends on.
    """

    name: str
    title: str
    value: float
    unit: str
    better: Better
    target: float | None = None
    limit: float | None = None
    limit_title: str = ""
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the target is reached; None without a target."""
        if self.target is None:
            return None
        return self.value >= self.target if self.better == "higher" else self.value <= self.target

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "met": self.is_met}

    def cells(self) -> list[str]:
        """The row of a table, in the order of COLUMNS."""
        sign = "≥" if self.better == "higher" else "≤"
        limit = ""
        if self.limit is not None:
            limit = f"{amount(self.limit, self.unit)} ({self.limit_title})"
        return [
            self.title,
            amount(self.value, self.unit),
            "" if self.target is None else f"{sign} {amount(self.target, self.unit)}",
            {None: "", True: "yes", False: "no"}[self.is_met],
            limit,
            self.note,
        ]


def amount(value: float, unit: str) -> str:
    """The value with as many digits as make sense for its unit."""
    digits = {"s": 2, "x": 2}.get(unit, 0)
    return f"{value:,.{digits}f} {unit}"


def weighted_percentile(values: Sequence[tuple[float, int]], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all counted items do not exceed.

    Args:
        values: (value, how many items have it), in any order.
        share: 0.5 for the median.

    Raises:
        ValueError: when nothing is counted.
    """
    total = sum(count for _, count in values)
    if total == 0:
        raise ValueError("a percentile of nothing")
    passed = 0
    ordered = sorted(values)
    for value, count in ordered:
        passed += count
        if passed >= share * total:
            return value
    return ordered[-1][0]


def markdown(figures: Sequence[Figure], conditions: dict[str, Any]) -> str:
    """The results as a Markdown table under a line of conditions."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(figure.cells() for figure in figures)]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    versions = ", ".join(f"{name} {version}" for name, version in conditions["versions"].items())
    return (
        f"{conditions['at']}, revision {conditions['revision']}: {conditions['cores']} cores ({conditions['cpu']}), "
        f"{conditions['memory_gb']:.0f} GB, load before the run {conditions['load_before']:.2f}; {versions}; "
        f"{conditions['events']:,} events of {conditions['event_bytes']} bytes.\n\n{table}\n"
    )


def between_markers(text: str, begin: str, end: str, replacement: str) -> str:
    """`text` with everything between the two marker lines replaced.

    Raises:
        ValueError: when a marker is missing.
    """
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no {begin} … {end}")
    return f"{head}{begin}\n{replacement}{end}{tail}"
