"""From what bronze holds and what the broker offers to the next micro-batch. Pure: no I/O, no clock.

Here: offsets arithmetic and the typed refusals. Not here: asking the broker or the log.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from itertools import pairwise

from lakehouse.errors import PartitionsMissingError, ResumePointGoneError, TopicRecreatedError, TopicTruncatedError
from lakehouse.kafka.offsets import TopicState
from lakehouse.lake.plan import Gap, Offsets, Plan

WAIT_SECONDS = 60
"""However young a backlog is, a micro-batch may take what this many seconds allow."""


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
            fix=f"If it was meant: {_accept(stream)} (docs/runbooks/TOPIC_RECREATED.md)",
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
            why="Retention deleted them before they were read. Everything up to there is in bronze.",
            fix=f"Record the loss and go on: {_accept(stream)} (docs/runbooks/RESUME_POINT_GONE.md)",
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


def within_rate(start: Offsets, end: Offsets, waited_seconds: Mapping[int, float], rate: int) -> Offsets:
    """End offsets with at most `rate` rows per partition and second that its oldest record has waited.

    Back-pressure: a burst is taken in portions, the longer it waits the larger ones, and a partition that holds most of
    the backlog does not make one huge task. `WAIT_SECONDS` count at least, so that portions are worth a commit.
    """
    allowed = {p: round(rate * max(WAIT_SECONDS, waited_seconds.get(p, 0))) for p in start}
    return {p: min(end[p], start[p] + allowed[p]) for p in start if p in end}


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


def gap_plan(
    stream: str, last: Plan | None, state: TopicState, *, who: str, why: str, at: datetime, writer: str
) -> Plan | None:
    """The batch without rows that records what is lost for good, behind which reading goes on.

    None when nothing is lost: every resume point can be read.

    Raises:
        PartitionsMissingError, TopicTruncatedError: no gap can answer these.
    """
    if last is None:
        return None
    try:
        resume_points(stream, last, state)
    except ResumePointGoneError as stop:
        code, generations = stop.code, last.generations
        start = {p: last.end.get(p, 0) for p in state.start}
    except TopicRecreatedError as stop:
        code, generations = stop.code, (*last.generations, state.topic_id)
        start = dict.fromkeys(state.start, 0)
    else:
        return None
    end = {p: max(start[p], state.start[p]) for p in start}
    lost = {p: (start[p], end[p]) for p in sorted(start) if end[p] > start[p]}
    return Plan(
        stream=stream,
        topic_id=state.topic_id,
        batch=last.batch + 1,
        start=start,
        end=end,
        day=at.date(),
        writer=writer,
        generations=generations,
        gap=Gap(code=code, lost=lost, who=who, why=why, at=at),
    )


def chain_breaks(plans: list[Plan]) -> Iterator[str]:
    """Places where a batch does not follow the one before it, one sentence each; `plans` oldest first."""
    for before, after in pairwise(plans):
        if after.batch != before.batch + 1:
            yield f"batch {after.batch} follows batch {before.batch}"
        if after.topic_id != before.topic_id:
            if after.gap is None:
                yield f"batch {after.batch} reads another topic id than batch {before.batch}, and nobody accepted that"
            continue
        for partition, end in sorted(before.end.items()):
            start = after.start.get(partition)
            if start != end:
                yield f"partition {partition}: batch {before.batch} ended at {end}, the next starts at {start}"


def _accept(stream: str) -> str:
    return f'lakehouse accept-gap {stream} --why "…"'
