"""The plan of a bronze micro-batch, as it stands in the commit that carried it out.

Here: the shape and its JSON. Not here: making plans (`lake.planner`), finding them in the log (`lake.ledger`).
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

Offsets = dict[int, int]


@dataclass(frozen=True)
class Gap:
    """Somebody's word that offsets are lost for good, so that reading may go on behind them.

    Attributes:
        code: The stop that it answers: RESUME_POINT_GONE or TOPIC_RECREATED.
        lost: `{partition: (first, end)}` of the plan's topic id that bronze will never have, `end` excluded.
        who: Who accepted it.
        why: The reason given.
        at: When, UTC.
    """

    code: str
    lost: dict[int, tuple[int, int]]
    who: str
    why: str
    at: datetime

    @property
    def offsets(self) -> int:
        """How many offsets are lost; transaction markers among them cannot be told apart any more."""
        return sum(end - first for first, end in self.lost.values())

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the commit."""
        return {
            "code": self.code,
            "lost": {partition: list(ends) for partition, ends in self.lost.items()},
            "who": self.who,
            "why": self.why,
            "at": self.at.isoformat(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Gap":
        """The gap that a commit carries."""
        return cls(
            code=data["code"],
            lost={int(partition): (first, end) for partition, (first, end) in data["lost"].items()},
            who=data["who"],
            why=data["why"],
            at=datetime.fromisoformat(data["at"]),
        )


@dataclass(frozen=True)
class Plan:
    """A bronze micro-batch: read `start[p]` up to but not including `end[p]` of every partition `p`.

    With a `gap` it reads nothing: it records that what lies between `start` and `end` is lost, or that the topic was
    made anew.

    `batch` grows by one from plan to plan of a stream. `day` is the arrival day (UTC) that the whole batch belongs to.
    `generations` lists the topic ids that the stream has had, oldest first; the last one is `topic_id`.
    `writer` tells this attempt apart from any other with the same numbers.
    """

    stream: str
    topic_id: str
    batch: int
    start: Offsets
    end: Offsets
    day: date
    writer: str
    generations: tuple[str, ...]
    gap: Gap | None = None

    @property
    def app_id(self) -> str:
        """Transaction identity under which Delta drops repeated batch numbers, also across generations of the topic."""
        return f"bronze/{self.stream}"

    @property
    def span(self) -> int:
        """Offsets to read; the number of rows when no transaction markers lie between."""
        return 0 if self.gap else sum(self.end[p] - self.start[p] for p in self.end)

    @property
    def offsets_read(self) -> int:
        """Offsets that the stream has read with this batch: no table of the stream has more rows."""
        return sum(self.end.values())

    @property
    def ranges(self) -> dict[int, list[int]]:
        """`{partition: [start, end]}` of the partitions in which this batch reads something."""
        if self.gap:
            return {}
        return {p: [self.start[p], self.end[p]] for p in sorted(self.end) if self.end[p] > self.start[p]}

    def to_metadata(self) -> dict[str, Any]:
        """What the commit says of itself."""
        return {
            "kind": "bronze",
            "stream": self.stream,
            "topic_id": self.topic_id,
            "batch": self.batch,
            "start": self.start,
            "end": self.end,
            "day": self.day.isoformat(),
            "writer": self.writer,
            "generations": list(self.generations),
            **({"gap": self.gap.to_dict()} if self.gap else {}),
        }

    @classmethod
    def from_metadata(cls, data: dict[str, Any]) -> "Plan":
        """The plan that a commit carries."""
        return cls(
            stream=data["stream"],
            topic_id=data["topic_id"],
            batch=data["batch"],
            start={int(p): offset for p, offset in data["start"].items()},
            end={int(p): offset for p, offset in data["end"].items()},
            day=date.fromisoformat(data["day"]),
            writer=data["writer"],
            generations=tuple(data["generations"]),
            gap=Gap.from_dict(data["gap"]) if "gap" in data else None,
        )
