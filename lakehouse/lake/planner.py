"""From what bronze holds and what the broker offers to the next micro-batch. Pure: no I/O, no clock.

Here: offsets arithmetic and the typed refusals. Not here: asking the broker or the log.
"""

from datetime import date

from lakehouse.errors import PartitionsMissingError, ResumePointGoneError, TopicRecreatedError, TopicTruncatedError
from lakehouse.kafka.offsets import TopicState
from lakehouse.lake.ledger import Offsets, Plan


def resume_points(stream: str, last: Plan | None, state: TopicState) -> Offsets:
    """The next offset to read of every partition.

    The first batch of a stream starts at the earliest offset; a partition added later starts at 0, not at its end.

    Raises:
        TopicRecreatedError: the topic has another id.
        PartitionsMissingError: the broker shows fewer partitions than were read.
        ResumePointGoneError: retention ran past a resume point; names the lost range.
        TopicTruncatedError: the topic ends before a resume point.
    """
    if last is None:
        return dict(state.start)
    if last.topic_id != state.topic_id:
        raise TopicRecreatedError(
            f"Topic {state.topic} of stream {stream} was deleted and made anew: id {state.topic_id}, "
            f"bronze has read {last.topic_id}.",
            why="Offsets start again at 0, so old and new records could be taken for each other.",
            fix="See docs/runbooks/TOPIC_RECREATED.md.",
        )
    missing = sorted(set(last.end) - set(state.end))
    if missing:
        raise PartitionsMissingError(
            f"Topic {state.topic} shows no partition {missing}, which bronze has read.",
            why="The broker's metadata is incomplete, as it is shortly after a restart.",
            fix="It is tried again by itself; if it stays, see docs/runbooks/PARTITIONS_MISSING.md.",
        )
    points = {p: last.end.get(p, 0) for p in state.end}
    lost = {p: (points[p], state.start[p]) for p in points if points[p] < state.start[p]}
    if lost:
        ranges = ", ".join(f"partition {p}: {a} to {b - 1}" for p, (a, b) in sorted(lost.items()))
        raise ResumePointGoneError(
            f"Topic {state.topic} no longer has offsets that stream {stream} has not read ({ranges}).",
            why="Retention deleted them before they were read.",
            fix="See docs/runbooks/RESUME_POINT_GONE.md.",
        )
    ahead = {p: (points[p], state.end[p]) for p in points if points[p] > state.end[p]}
    if ahead:
        ranges = ", ".join(f"partition {p}: read up to {a}, topic ends at {b}" for p, (a, b) in sorted(ahead.items()))
        raise TopicTruncatedError(
            f"Topic {state.topic} is shorter than what stream {stream} has read ({ranges}).",
            why="Records were deleted, or an unclean leader election lost them.",
            fix="See docs/runbooks/TOPIC_TRUNCATED.md.",
        )
    return points


def cap(start: Offsets, end: Offsets, max_rows: int) -> Offsets:
    """End offsets that cover at most `max_rows`, shared fairly: small backlogs whole, the rest split evenly."""
    backlog = {p: end[p] - start[p] for p in start}
    capped = dict(start)
    room = max_rows
    waiting = sorted((p for p in start if backlog[p] > 0), key=lambda p: (backlog[p], p))
    for position, partition in enumerate(waiting):
        share = min(backlog[partition], room // (len(waiting) - position))
        capped[partition] = start[partition] + share
        room -= share
    return capped


def next_plan(
    stream: str, last: Plan | None, state: TopicState, *, end: Offsets, day: date, max_rows: int, writer: str
) -> Plan | None:
    """The next batch up to `end` (the topic's end, or the day's), or None when nothing is waiting.

    Raises as `resume_points`.
    """
    start = resume_points(stream, last, state)
    bounded = {p: max(start[p], min(end.get(p, start[p]), state.end[p])) for p in start}
    stop = cap(start, bounded, max_rows)
    if stop == start:
        return None
    generations = last.generations if last is not None else (state.topic_id,)
    return Plan(
        stream=stream,
        topic_id=state.topic_id,
        batch=0 if last is None else last.batch + 1,
        start=start,
        end=stop,
        day=day,
        writer=writer,
        generations=generations,
    )
