"""Silver user events written without Kafka, batch by batch, and a model in plain Python of what the speed layer makes.

Here: rows, Delta writes with the metadata of a merge, the model. Not here: tests.
"""

import json
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from lakehouse.lake.paths import LakePaths

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Event:
    """One event of a user; `batch` is the bronze batch that it came in."""

    number: int
    batch: int
    at: datetime
    user: str = "U1"
    kind: str = "view"
    revenue: Decimal = Decimal("0.00")

    @property
    def row(self) -> dict[str, Any]:
        """As it stands in silver."""
        return {
            "event_id": f"e{self.number}",
            "user_id": self.user,
            "session_id": "s",
            "event_type": self.kind,
            "revenue": self.revenue,
            "event_time": self.at,
            "event_date": self.at.date(),
            "_batch": self.batch,
            "_topic_id": "t",
            "_generation": 0,
            "_partition": 0,
            "_offset": self.number,
        }


def some_events(seed: int, count: int, batches: int) -> list[Event]:
    """Events of three users over two hours, in batches; some far behind the newest, many at full minutes."""
    rng = random.Random(seed)
    events = []
    for number in range(count):
        batch = number * batches // count
        ahead = timedelta(minutes=120 * batch / batches)
        behind = rng.choice([0, 0, 0, 1, 4, 5, 6, 10, 11, 35])
        at = NOON + ahead - behind * MINUTE
        at = at.replace(second=0, microsecond=0) if rng.random() < 0.5 else at + timedelta(seconds=rng.randrange(60))
        kind = rng.choice(["view", "click", "purchase"])
        revenue = Decimal(rng.randrange(1, 9_999)) / 100 if kind == "purchase" else Decimal("0.00")
        events.append(Event(number, batch, at, rng.choice(["U1", "U2", "U3"]), kind, revenue))
    return events


def write_batches(paths: LakePaths, events: list[Event], first: int, last: int) -> None:
    """Commit the batches `first` to `last` to silver as a merge does: new rows, and how far it is now."""
    import pyarrow as pa
    from deltalake import CommitProperties, write_deltalake

    schema = pa.schema(
        [(name, pa.string()) for name in ("event_id", "user_id", "session_id", "event_type")]
        + [("revenue", pa.decimal128(12, 2)), ("event_time", pa.timestamp("us", tz="UTC")), ("event_date", pa.date32())]
        + [("_batch", pa.int64()), ("_topic_id", pa.string()), ("_generation", pa.int32()), ("_partition", pa.int32())]
        + [("_offset", pa.int64())]
    )
    rows = [event.row for event in events if first <= event.batch <= last]
    about = {"kind": "silver", "stream": "user_events", "after": first - 1, "through": last}
    write_deltalake(
        paths.silver("user_events"),
        pa.Table.from_pylist(rows, schema=schema),
        mode="append",
        partition_by=["event_date"],
        commit_properties=CommitProperties(custom_metadata={"userMetadata": json.dumps(about)}),
    )


@dataclass
class Model:
    """What a delay makes of events: who is late, which windows and sessions there are, which of them are closed."""

    delay: timedelta
    on_time: list[Event] = field(default_factory=list)
    late: list[Event] = field(default_factory=list)
    watermark: datetime | None = None

    @classmethod
    def of(cls, events: list[Event], delay: timedelta) -> "Model":
        """Batch by batch: the watermark moves only between batches."""
        model, newest = cls(delay), None
        for batch in sorted({event.batch for event in events}):
            members = [event for event in events if event.batch == batch]
            for event in members:
                is_late = model.watermark is not None and model.watermark > event.at
                (model.late if is_late else model.on_time).append(event)
            newest = max([event.at for event in members] + ([newest] if newest else []))
            model.watermark = newest - delay
        return model

    def windows(self, size: int, slide: int) -> dict[tuple[Any, ...], list[Event]]:
        """Events by (start of window, user, kind); minutes."""
        found: dict[tuple[Any, ...], list[Event]] = defaultdict(list)
        for event in self.on_time:
            minute = event.at.replace(second=0, microsecond=0)
            for back in range(0, size, slide):
                found[minute - back * MINUTE, event.user, event.kind].append(event)
        return found

    def sessions(self) -> list[tuple[str, datetime, int, Decimal, datetime]]:
        """User, start, events, value, last event."""
        found = []
        for user in sorted({event.user for event in self.on_time}):
            mine = sorted((event for event in self.on_time if event.user == user), key=lambda event: event.at)
            groups: list[list[Event]] = []
            for event in mine:
                if groups and event.at - groups[-1][-1].at < 30 * MINUTE:
                    groups[-1].append(event)
                else:
                    groups.append([event])
            found += [(user, g[0].at, len(g), sum((e.revenue for e in g), Decimal()), g[-1].at) for g in groups]
        return found

    def is_closed(self, end: datetime) -> bool:
        """Whether the watermark has reached this time."""
        return self.watermark is not None and end <= self.watermark
