"""What the speed layer computes of user events: three tables, each a continuable result over event time.

Here: their shapes, delays and how parts become results. Not here: reading silver and committing (`lake.speed.writer`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, Protocol

from lakehouse.errors import UsageError
from lakehouse.transforms.sessions import INACTIVITY, session_parts, sessions
from lakehouse.transforms.windows import EVENT_COUNT, Measure, merged, windowed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

STREAM = "user_events"
# Marks the commits of these tables.
KIND = "speed"
TIME = "event_time"
# The step that changed a row last: readers of changes go by it.
STEP = Measure("_step", "max(_step)", "max(_step)")
Mode = Literal["update", "append"]


class Result(Protocol):
    """A table of the speed layer. Open rows may still change; closed rows never do.

    Attributes:
        name: Of the table.
        description: What a row is.
        delay: How far an event may lie behind the newest one before it is late.
        mode: `update`: readers see open rows; `append`: only closed ones.
        columns: Names and Spark types of the result.
        hidden: Further columns that the table needs to go on.
        keys: Columns that identify a row.
        day: SQL for the date by which closed rows are partitioned.
        segments: Whether its events are joined with what the batch layer knows about their users.
        closes_at: SQL for the event time up to which a row may change; the row is closed once the watermark reaches it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def description(self) -> str: ...  # noqa: D102
    @property
    def delay(self) -> timedelta: ...  # noqa: D102
    @property
    def mode(self) -> Mode: ...  # noqa: D102
    @property
    def columns(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def hidden(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def keys(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def day(self) -> str: ...  # noqa: D102
    @property
    def closes_at(self) -> str: ...  # noqa: D102
    @property
    def segments(self) -> bool: ...  # noqa: D102

    def parts(self, rows: "DataFrame") -> "DataFrame":
        """Results of new rows alone; the rows carry `_step`."""

    def merge(self, parts: "DataFrame") -> "DataFrame":
        """One result of several parts."""


@dataclass(frozen=True)
class WindowResult:
    """Measures by window and keys."""

    name: str
    description: str
    delay: timedelta
    mode: Mode
    size: timedelta
    slide: timedelta
    by: Mapping[str, str]
    measures: Mapping[str, tuple[Measure, str]]
    day: str = "to_date(window_start)"
    closes_at: str = "window_end"
    segments: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The window and what is grouped by."""
        return ("window_start", *self.by)

    @property
    def columns(self) -> dict[str, str]:
        """The window, the keys, the measures."""
        windows = {"window_start": "timestamp", "window_end": "timestamp"}
        return {**windows, **self.by, **{name: kind for name, (_, kind) in self.measures.items()}}

    @property
    def hidden(self) -> dict[str, str]:
        """Nothing: a window can go on from its measures."""
        return {}

    def parts(self, rows: "DataFrame") -> "DataFrame":
        """See `Result`."""
        return windowed(
            rows, time=TIME, size=self.size, slide=self.slide, keys=tuple(self.by), measures=self._all_measures()
        )

    def merge(self, parts: "DataFrame") -> "DataFrame":
        """See `Result`."""
        return merged(parts, keys=tuple(self.by), measures=self._all_measures())

    def _all_measures(self) -> list[Measure]:
        return [*(measure for measure, _ in self.measures.values()), STEP]


@dataclass(frozen=True)
class SessionResult:
    """Sessions of users, ended by inactivity."""

    name: str
    description: str
    delay: timedelta
    mode: Mode = "append"
    gap: timedelta = INACTIVITY
    day: str = "to_date(session_start)"
    segments: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """A user has one session at a time."""
        return ("user_id", "session_start")

    @property
    def columns(self) -> dict[str, str]:
        """Who, since when, how much."""
        return {
            "user_id": "string",
            "session_start": "timestamp",
            "event_count": "bigint",
            "total_value": "decimal(22,2)",
        }

    @property
    def hidden(self) -> dict[str, str]:
        """When the last event was: a session goes on from there."""
        return {"last_event": "timestamp"}

    @property
    def closes_at(self) -> str:
        """Later events begin a new session."""
        return f"last_event + INTERVAL '{int(self.gap.total_seconds())}' SECOND"

    def parts(self, rows: "DataFrame") -> "DataFrame":
        """See `Result`."""
        from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

        single = session_parts(rows, user="user_id", time=TIME, value="revenue", more=("_step",))
        return self.merge(single.withColumn("total_value", F.col("total_value").cast("decimal(22,2)")))

    def merge(self, parts: "DataFrame") -> "DataFrame":
        """See `Result`."""
        return sessions(parts, gap=self.gap, more=[STEP])


_REVENUE = "sum(coalesce(revenue, 0))"
RESULTS: tuple[Result, ...] = (
    WindowResult(
        name="user_event_counts_1m",
        description="Events and revenue per minute, user and event type; a minute may change for five more.",
        delay=timedelta(minutes=5),
        mode="update",
        size=timedelta(minutes=1),
        slide=timedelta(minutes=1),
        by={"user_id": "string", "event_type": "string"},
        measures={
            "event_count": (EVENT_COUNT, "bigint"),
            "total_revenue": (Measure("total_revenue", _REVENUE, "sum(total_revenue)"), "decimal(22,2)"),
            "last_event": (Measure("last_event", f"max({TIME})", "max(last_event)"), "timestamp"),
        },
    ),
    WindowResult(
        name="windowed_counts",
        description="Events per five minutes, a window every minute, and event type; only closed windows.",
        delay=timedelta(minutes=10),
        mode="append",
        size=timedelta(minutes=5),
        slide=timedelta(minutes=1),
        by={"event_type": "string"},
        measures={"event_count": (EVENT_COUNT, "bigint")},
    ),
    WindowResult(
        name="segment_counts_1m",
        description="Events and revenue per minute, event type and what the batch layer knows about the user.",
        delay=timedelta(minutes=5),
        mode="update",
        size=timedelta(minutes=1),
        slide=timedelta(minutes=1),
        by={"segment": "string", "event_type": "string"},
        measures={
            "event_count": (EVENT_COUNT, "bigint"),
            "total_revenue": (Measure("total_revenue", _REVENUE, "sum(total_revenue)"), "decimal(22,2)"),
        },
        segments=True,
    ),
    SessionResult(
        name="user_sessions",
        description="What a user did without a pause of 30 minutes; only closed sessions.",
        delay=timedelta(minutes=10),
    ),
)


def result_named(name: str) -> Result:
    """The result of that name.

    Raises:
        UsageError: when there is none.
    """
    for result in RESULTS:
        if result.name == name:
            return result
    raise UsageError(f"There is no speed table {name!r}.", fix=f"Known: {', '.join(r.name for r in RESULTS)}.")
