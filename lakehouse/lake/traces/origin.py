"""Which batch and commit brought a record into bronze, and why it is not there when it is not.

Here: the ledger and the broker. Not here: the record's content (`traces.verdict`).
"""

from dataclasses import dataclass, field
from datetime import date

from lakehouse.contracts.model import StreamContract
from lakehouse.errors import BrokerUnreachableError, LakehouseError, TopicMissingError
from lakehouse.kafka.offsets import TopicState, read_topic_state
from lakehouse.kafka.timestamps import visible_offsets
from lakehouse.lake.ledger import Commit, commits
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.plan import Offsets, Plan
from lakehouse.lake.schema.retained import Deleted, deleted
from lakehouse.lake.traces.answer import NotFoundError
from lakehouse.settings import Settings


@dataclass
class Located:
    """What the ledger knows of one partition and offset.

    Attributes:
        newest: The batch committed last.
        hits: Batches that cover the offset, newest first; one per generation of the topic.
        first: Where the newest generation's first known batch started, per partition.
        is_whole: The log reaches back to the first batch.
    """

    newest: Plan
    hits: list[tuple[Plan, Commit]] = field(default_factory=list)
    first: Offsets = field(default_factory=dict)
    is_whole: bool = True


def locate(path: str, partition: int, offset: int) -> Located | None:
    """Look the offset up in the plans of bronze's commits; None when nothing was ever ingested."""
    found: Located | None = None
    version = 0
    for commit in commits(path):
        version = commit.version
        if commit.metadata.get("kind") != "bronze":
            continue
        plan = Plan.from_metadata(commit.metadata)
        found = found or Located(newest=plan)
        if plan.topic_id == found.newest.topic_id:
            found.first.update(plan.start)
        if plan.start.get(partition, 0) <= offset < plan.end.get(partition, 0):
            found.hits.append((plan, commit))
            if len(found.newest.generations) == 1:
                return found
    if found is not None:
        found.is_whole = version == 0
    return found


def broker_state(contract: StreamContract, settings: Settings) -> TopicState | str:
    """What the broker holds of the topic now, or why it could not be asked."""
    try:
        return read_topic_state(settings, contract.topic.name, timeout_seconds=5)
    except (BrokerUnreachableError, TopicMissingError) as error:
        return f"not asked: {error.problem}"


def on_broker(state: TopicState | str, topic_id: str, partition: int, offset: int) -> str:
    """Whether the broker still has a record that bronze has."""
    if isinstance(state, str):
        return state
    if state.topic_id != topic_id:
        return "gone: the topic was deleted and made anew"
    return "yes" if offset >= state.start.get(partition, 0) else "gone: retention deleted it"


def absent(
    contract: StreamContract, settings: Settings, located: Located, partition: int, offset: int
) -> LakehouseError:
    """Why bronze has no record at this place, as the error to raise."""
    stream, place = contract.name, f"{contract.topic.name} partition {partition}, offset {offset}"
    state = broker_state(contract, settings)
    known = sorted(set(located.newest.end) | (set(state.end) if isinstance(state, TopicState) else set()))
    if partition not in known:
        return NotFoundError(
            f"Topic {contract.topic.name} has no partition {partition}.", fix=f"Its partitions: {_listed(known)}."
        )
    gap = located.hits[0][0].gap if located.hits else None
    if gap is not None:
        return NotFoundError(
            f"{place} is lost: {gap.who} recorded that on {gap.at:%Y-%m-%d}.", why=f"{gap.code}; {gap.why}."
        )
    gone = deleted(LakePaths.of(settings).bronze(stream))
    if gone is not None and (located.hits[0][0].day < gone.before if located.hits else not located.is_whole):
        return _expired(contract, place, gone, located.hits[0][0].day if located.hits else None)
    if located.hits:
        return _not_a_record(contract, settings, state, located.hits[0][0].topic_id, partition, offset)
    read_up_to = located.newest.end.get(partition, 0)
    if offset >= read_up_to:
        written = isinstance(state, TopicState) and offset < state.end.get(partition, 0)
        return NotFoundError(
            f"{place} is {'not read yet' if written or isinstance(state, str) else 'not written yet'}: "
            f"bronze has read up to {read_up_to - 1}.",
            fix=f"lakehouse drain {stream}" if written else "",
        )
    return NotFoundError(
        f"{place} lies before the start: the first batch of stream {stream} began at "
        f"{located.first.get(partition, 0)}.",
        why="It was gone from the broker before the stream was first read.",
    )


def retention_note(gone: Deleted | None) -> str:
    """That a record may be gone because nobody wanted it longer, for answers that cannot know it; or nothing."""
    if gone is None:
        return ""
    return f"; retention has deleted arrival days before {gone.before}, of which silver keeps what it made"


def _expired(contract: StreamContract, place: str, gone: Deleted, day: date | None) -> NotFoundError:
    """The record was read, and deleted with its arrival day; `day` is None when the log no longer knows it."""
    age = contract.retention.bronze
    kept = f"The contract keeps bronze for {age.days} days" if age else "The contract kept bronze for a time"
    silver = "silver keeps what it made of the record"
    restore = f"lakehouse retention restore {contract.name} --day {day or 'DAY'}"
    return NotFoundError(
        f"{place} was read on {day or 'a day'}, and retention has deleted bronze's arrival days before {gone.before}.",
        why=f"{kept}; {silver}.",
        fix=f"{restore}, or: lakehouse retention list {contract.name}" if contract.retention.archive else "",
    )


def _not_a_record(
    contract: StreamContract, settings: Settings, state: TopicState | str, topic_id: str, partition: int, offset: int
) -> LakehouseError:
    """The offset was read, but bronze has no row of it."""
    place = f"{contract.topic.name} partition {partition}, offset {offset}"
    if on_broker(state, topic_id, partition, offset) != "yes":
        return NotFoundError(
            f"{place} was read, but bronze has no row of it, and the broker no longer has that offset.",
            why="It was a transaction's marker or an aborted record, or it was lost; the counts per batch tell which.",
            fix=f"lakehouse verify {contract.name}",
        )
    if visible_offsets(settings, contract.topic.name, partition, offset, offset + 1):
        return NotFoundError(
            f"{place} is on the broker and was read, but bronze has no row of it: it was lost.",
            fix=f"lakehouse verify {contract.name}",
        )
    return NotFoundError(
        f"{place} is no record: it is a transaction's marker, or its transaction was aborted.",
        why="Neither is visible to a reader of committed data, so bronze rightly has no row.",
    )


def _listed(numbers: list[int]) -> str:
    return f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else ", ".join(map(str, numbers))
