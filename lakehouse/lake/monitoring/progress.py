"""What waits and what is done, without Spark: for sensors, health and lag. Here: reading only."""

from dataclasses import dataclass
from datetime import date, timedelta

from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.offsets import TopicReader, TopicState
from lakehouse.kafka.timestamps import first_timestamps
from lakehouse.lake.bronze import midnight, today
from lakehouse.lake.ledger import last_plan, merged_through
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.plan import Offsets
from lakehouse.lake.planner import resume_points
from lakehouse.settings import Settings


@dataclass(frozen=True)
class Backlog:
    """What a stream has not read yet.

    Attributes:
        total: Offsets waiting.
        days: Waiting offsets per arrival day (UTC), oldest first.
        committed: Next offset to read per partition.
        topic_id: The broker's id of the topic.
        last_batch: Last bronze batch; -1 when there is none.
        silver_batch: Last bronze batch that silver holds; -1 when there is none.
    """

    total: int
    days: list[tuple[date, int]]
    committed: Offsets
    topic_id: str
    last_batch: int
    silver_batch: int


def backlog(contract: StreamContract, settings: Settings) -> Backlog:
    """Compare the broker with the Delta logs.

    Raises:
        BrokerUnreachableError: no broker answers.
        TopicMissingError: the topic does not exist.
        Stop: one of the typed refusals of `planner.resume_points`.
    """
    paths = LakePaths.of(settings)
    known = last_plan(paths.bronze(contract.name))
    last = known[0] if known else None
    with TopicReader(settings) as topics:
        state = topics.state(contract.topic.name)
        start = resume_points(contract.name, last, state)
        total = sum(state.end[p] - start[p] for p in start)
        return Backlog(
            total=total,
            days=_by_day(settings, topics, state, start) if total else [],
            committed=start,
            topic_id=state.topic_id,
            last_batch=last.batch if last else -1,
            silver_batch=merged_through(paths.silver(contract.name)),
        )


def _by_day(settings: Settings, topics: TopicReader, state: TopicState, start: Offsets) -> list[tuple[date, int]]:
    unread = {p: offset for p, offset in start.items() if offset < state.end[p]}
    oldest = first_timestamps(settings, state.topic, unread)
    day = min((moment.date() for moment in oldest.values()), default=today())
    days: list[tuple[date, int]] = []
    position = dict(unread)
    while day < today():
        boundary = topics.offsets_at(state.topic, midnight(day + timedelta(days=1)))
        ends = {p: max(position[p], min(boundary[p], state.end[p])) for p in position}
        waiting = sum(ends[p] - position[p] for p in position)
        if waiting:
            days.append((day, waiting))
        position = ends
        day += timedelta(days=1)
    rest = sum(state.end[p] - position[p] for p in position)
    return [*days, (day, rest)] if rest else days
