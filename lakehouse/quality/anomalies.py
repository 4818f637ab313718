"""Is this figure as usual? Learned from its own history, with nothing to set: median and MAD, by hour of the day.

Here: the judgement of one figure against earlier ones, pure. Not here: figures of a lake (`lake.quality.history`).

The deviation is measured in robust standard deviations (1.4826 times the median absolute deviation), on a logarithmic
scale for what cannot be negative, so that doubling and halving weigh the same. How many are too many depends on how
much history there is: a MAD of few values is itself uncertain. The bounds were set by simulation so that normal and
lognormal figures without a change raise an alarm in less than 1 of 100 judgements (docs/quality.md).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Literal, NamedTuple

LEAST_HISTORY = 12
"""With fewer earlier figures nothing is said."""
_LEAST_PER_HOUR = 8
"""Earlier figures of the same hour (and, better, of the same weekday) that are enough to compare with only those."""
_MAD_TO_SIGMA = 1.4826
_SIGMAS = 4.5
_UNCERTAINTY = 42.0
Scale = Literal["log", "linear"]
State = Literal["usual", "unusual", "learning"]
Basis = Literal["weekday and hour", "hour", "all"]


class Point(NamedTuple):
    """A figure and its time (UTC)."""

    at: datetime
    value: float


@dataclass(frozen=True)
class Verdict:
    """What was found.

    Attributes:
        state: `learning` while history is short: then nothing is claimed.
        observed: The figure.
        low: Least usual value.
        high: Greatest usual value.
        usual: The median of what it was compared with.
        history: How many earlier figures it was compared with.
        basis: Which ones.
    """

    state: State
    observed: float
    low: float
    high: float
    usual: float
    history: int
    basis: Basis = "all"

    @property
    def is_unusual(self) -> bool:
        """Whether somebody should look."""
        return self.state == "unusual"


def judge(
    history: Sequence[Point],
    observed: Point,
    *,
    scale: Scale = "log",
    floor: float = 0.05,
    tests: int = 1,
    sides: Literal["both", "high"] = "both",
) -> Verdict:
    """Compare a figure with earlier ones.

    Args:
        history: Earlier figures of the same thing, in any order; later ones and the figure itself are left out.
        observed: The figure.
        scale: `log` for counts, durations and amounts that are never negative, `linear` for shares and signed values.
        floor: Least standard deviation assumed, so that a constant history does not make every change an alarm; on the
            scale that is used (0.05 on the logarithmic one is about 5 %).
        tests: How many figures are judged together: the bounds widen, so that their joint rate of false alarms stays.
        sides: Whether small values are unusual too.
    """
    earlier = [point for point in history if point.at < observed.at and math.isfinite(point.value)]
    basis, chosen = _comparable(earlier, observed.at)
    if len(chosen) < LEAST_HISTORY and basis == "all":
        return Verdict("learning", observed.value, -math.inf, math.inf, math.nan, len(chosen))
    values = [_to(scale, point.value) for point in chosen]
    centre = median(values)
    spread = max(_MAD_TO_SIGMA * median(abs(value - centre) for value in values), floor)
    allowed = _sigmas(len(values), tests) * spread
    low = _back(scale, centre - allowed) if sides == "both" else -math.inf
    high = _back(scale, centre + allowed)
    is_usual = low <= observed.value <= high
    state: State = "usual" if is_usual else "unusual"
    return Verdict(state, observed.value, low, high, _back(scale, centre), len(values), basis)


def _comparable(earlier: list[Point], at: datetime) -> tuple[Basis, list[Point]]:
    """The figures of the same weekday and hour, else of the same hour, else all: the first that are enough."""
    same_hour = [point for point in earlier if point.at.hour == at.hour]
    same_slot = [point for point in same_hour if point.at.weekday() == at.weekday()]
    if len(same_slot) >= _LEAST_PER_HOUR:
        return "weekday and hour", same_slot
    # All figures at one hour are daily ones: then their number decides, not their hour.
    if len(same_hour) >= _LEAST_PER_HOUR and len(same_hour) < len(earlier):
        return "hour", same_hour
    return "all", earlier


def _sigmas(history: int, tests: int) -> float:
    """Allowed robust standard deviations: more when there is little history, more when much is judged at once."""
    together = math.sqrt(2 * math.log(max(1, tests)))
    return (_SIGMAS + together) * (1 + _UNCERTAINTY / history**2)


def distance(shares: dict[str, float], usual: dict[str, float]) -> float:
    """How far two distributions over categories are apart: total variation, 0 (the same) to 1 (nothing in common)."""
    return sum(abs(shares.get(key, 0.0) - usual.get(key, 0.0)) for key in {*shares, *usual}) / 2


def _to(scale: Scale, value: float) -> float:
    return math.log1p(max(0.0, value)) if scale == "log" else value


def _back(scale: Scale, value: float) -> float:
    return max(0.0, math.expm1(value)) if scale == "log" else value
