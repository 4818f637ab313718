"""A partition's window of time: the only clock of a batch pipeline.

Here: from a partition key to its start and end (UTC) and back. Not here: which partitions are run, and when.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from lakehouse.errors import UsageError

Cadence = Literal["daily", "hourly", "15min", "none"]
LENGTHS = {"daily": timedelta(days=1), "hourly": timedelta(hours=1), "15min": timedelta(minutes=15)}
# As Dagster writes the keys of its daily, hourly and cron partitions.
FORMATS = {"daily": "%Y-%m-%d", "hourly": "%Y-%m-%d-%H:%M", "15min": "%Y-%m-%d-%H:%M"}
WHOLE = "all"
"""Key of the one window of a pipeline without partitions."""


@dataclass(frozen=True)
class Window:
    """One partition: `start` included, `end` excluded, both UTC. Without partitions `end` is far in the future."""

    key: str
    start: datetime
    end: datetime

    @property
    def day(self) -> date:
        """The UTC day in which the window starts."""
        return self.start.date()


def window_of(cadence: Cadence, key: str, first: date) -> Window:
    """The window of a partition key.

    Args:
        cadence: How long a partition is.
        key: As Dagster writes it, for example 2024-01-31 or 2024-01-31-14:15.
        first: Day of the pipeline's first partition.

    Raises:
        UsageError: when the key is none of this pipeline's.
    """
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
    if cadence == "none":
        return Window(WHOLE, begin, datetime(9999, 1, 1, tzinfo=UTC))
    try:
        start = datetime.strptime(key, FORMATS[cadence]).replace(tzinfo=UTC)
    except ValueError as error:
        raise UsageError(
            f"{key!r} is no partition key of a pipeline that is {cadence}.",
            fix=f"Write it like {key_of(cadence, begin)}.",
        ) from error
    if start < begin or (start - begin) % LENGTHS[cadence]:
        raise UsageError(f"{key!r} is no partition: they start on {first} and last {LENGTHS[cadence]} each.")
    return Window(key, start, start + LENGTHS[cadence])


def key_of(cadence: Cadence, moment: datetime) -> str:
    """Key of the partition that starts at this moment."""
    return WHOLE if cadence == "none" else moment.strftime(FORMATS[cadence])


def keys_ended(cadence: Cadence, first: date, moment: datetime) -> list[str]:
    """Keys of all windows that have ended by this moment, oldest first."""
    if cadence == "none":
        return [WHOLE]
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    length = LENGTHS[cadence]
    return [key_of(cadence, start + number * length) for number in range(max(0, (moment - start) // length))]


def last_key_ended(cadence: Cadence, first: date, moment: datetime) -> str | None:
    """Key of the window that ended last, at or before this moment; None when none has ended."""
    if cadence == "none":
        return WHOLE
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    ended = (moment - start) // LENGTHS[cadence]
    return key_of(cadence, start + (ended - 1) * LENGTHS[cadence]) if ended > 0 else None
