"""From a drain's batch reports to materialisation events: at most one per table and day about every ten seconds.

Here: adding batches up and spreading silver rows over event dates. Not here: draining, and closing the run's own day.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from lakehouse.lake.reports import BatchReport

EVERY_SECONDS = 10.0
Numbers = dict[str, int | float]


@dataclass
class _Sum:
    """What was committed to one day of one table since the last event."""

    rows: int = 0
    batches: int = 0
    seconds: float = 0.0
    rejected: int = 0
    duplicates: int = 0
    last: Numbers = field(default_factory=dict)

    def numbers(self, layer: str) -> Numbers:
        sums: Numbers = {"rows": self.rows, "batches": self.batches, "seconds": round(self.seconds, 3)}
        if layer == "silver":
            sums |= {"rejected": self.rejected, "duplicates": self.duplicates}
        return sums | self.last


class ProgressLog:
    """Callback for a drain: logs what was committed, and keeps the totals for the end of the run.

    Args:
        log: Takes one finished event (`context.log_event`).
        keys: Asset key for each layer, "bronze" and "silver".
        first: The earliest partition; rows of earlier event dates are counted in `outside`.
        last: Returns the latest partition now, so that an event dated tomorrow does not invent one.
        common: Metadata that every event of a layer carries.
        every_seconds: Least time between two events of one table.
        clock: Seconds, monotonic; tests pass their own.
    """

    def __init__(
        self,
        log: Callable[[dg.AssetMaterialization], None],
        keys: Mapping[str, dg.AssetKey],
        *,
        first: date,
        last: Callable[[], date],
        common: Mapping[str, Mapping[str, Any]] | None = None,
        every_seconds: float = EVERY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._keys = keys
        self._first = first
        self._last = last
        self._common = common or {}
        self._every = every_seconds
        self._clock = clock
        self._open: dict[str, dict[date, _Sum]] = {layer: {} for layer in keys}
        self._logged_at: dict[str, float] = {}
        self.outside = 0
        self.broken: dict[str, int] = {}

    def __call__(self, report: "BatchReport") -> None:
        """Take one committed batch; log what is open when the last event is old enough."""
        if report.layer == "bronze":
            self._add(report, report.day, report.rows)
        else:
            self._add_silver(report)
        for rule, count in {**report.rejected_by_rule, **report.warned_by_rule}.items():
            self.broken[rule] = self.broken.get(rule, 0) + count
        logged_at = self._logged_at.get(report.layer)
        if logged_at is None or self._clock() - logged_at >= self._every:
            self._flush_layer(report.layer)

    def flush(self, *, without: date | None = None) -> None:
        """Log everything still open, except for the day that the run itself will close."""
        for layer in self._keys:
            self._flush_layer(layer, without)

    def rest(self, layer: str, day: date) -> Numbers:
        """What is open for that day, for the event that closes it; it counts as logged from now on."""
        rest = self._open[layer].pop(day, None)
        return rest.numbers(layer) if rest is not None else {}

    def _add_silver(self, report: "BatchReport") -> None:
        inside: dict[date, int] = {}
        for iso, rows in report.event_dates.items():
            day = date.fromisoformat(iso)
            if self._first <= day <= self._last():
                inside[day] = rows
            else:
                self.outside += rows
        # The batch's own figures (seconds, rejects, lag) belong to the arrival day; other days get only their rows.
        self._add(report, report.day, inside.pop(report.day, 0))
        for day, rows in inside.items():
            sums = self._open["silver"].setdefault(day, _Sum())
            sums.rows += rows
            sums.batches += 1
            sums.last = _last_figures(report, "batch", "delta_version")

    def _add(self, report: "BatchReport", day: date, rows: int) -> None:
        sums = self._open[report.layer].setdefault(day, _Sum())
        sums.rows += rows
        sums.batches += 1
        sums.seconds += report.seconds
        sums.rejected += report.rejected
        sums.duplicates += report.duplicates
        own = ("lag_rows", "latency_seconds") if report.layer == "bronze" else ()
        sums.last = _last_figures(report, "batch", "delta_version", *own)

    def _flush_layer(self, layer: str, without: date | None = None) -> None:
        open_days = self._open[layer]
        for day in sorted(open_days):
            if day == without:
                continue
            metadata = {**self._common.get(layer, {}), **open_days.pop(day).numbers(layer)}
            self._log(dg.AssetMaterialization(self._keys[layer], partition=day.isoformat(), metadata=metadata))
        self._logged_at[layer] = self._clock()


def _last_figures(report: "BatchReport", *names: str) -> Numbers:
    figures: Numbers = {}
    for name in names:
        value = getattr(report, name)
        if value is not None:
            figures[name] = round(value, 3) if isinstance(value, float) else int(value)
    return figures
