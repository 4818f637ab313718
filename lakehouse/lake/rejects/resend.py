"""Dead letters: their state, and sending corrected records back to the stream's own topic.

Here: which letters, with what values, and how often. Not here: messages and headers (`kafka.dead_letters`). A record
that is sent again is a new record of the topic: the drain takes it like any other, and one that is rejected once more
is a new dead letter, which carries the number of attempts.
"""

import base64
from dataclasses import dataclass, field
from typing import Any

from lakehouse.contracts.corrections import Corrections, corrected
from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.errors import UsageError
from lakehouse.kafka.dead_letters import DeadLetter, Postman, read_dead_letters
from lakehouse.lake.decisions import current_user, discarded
from lakehouse.lake.events import Fact, write_facts
from lakehouse.lake.guards.locks import exclusive, lake_lock
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.rejects.ids import RecordName
from lakehouse.settings import Settings

_LOCK_SECONDS = 900.0
_AT_ONCE = 1_000
OPEN, DISCARDED = "open", "discarded"


@dataclass(frozen=True)
class Letter:
    """A dead letter and what became of it: `open`, `replayed`, `released` (by a replay of quarantine), `discarded`."""

    letter: DeadLetter
    state: str

    @property
    def error_type(self) -> str:
        """Why the record was rejected, as a kind."""
        return str(self.letter.record.get("error_type"))

    @property
    def reasons(self) -> list[str]:
        """The names of everything that the record broke."""
        context = self.letter.record.get("context")
        return list(context.get("reasons") or []) if isinstance(context, dict) else []


@dataclass
class ResendReport:
    """Ids of the letters: sent again, refused with the reason, and passed over because they were settled before."""

    stream: str
    sent: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    settled: list[str] = field(default_factory=list)


def letters_of(contract: StreamContract, settings: Settings) -> tuple[list[Letter], int]:
    """All letters of a stream, oldest first, and how many messages of the topic are none.

    Raises:
        BrokerUnreachableError, TopicMissingError: the topic could not be read.
    """
    mailbox = read_dead_letters(settings, contract.topic.dlq)
    out = discarded(LakePaths.of(settings), contract.name)
    known = [Letter(letter, DISCARDED if letter.id in out else letter.mark or OPEN) for letter in mailbox.letters]
    return known, mailbox.foreign


def choose(contract: StreamContract, letters: list[Letter], names: list[RecordName]) -> list[Letter]:
    """The letters of these names, each once.

    Raises:
        UsageError: a name means none of them, or several.
    """
    chosen: dict[str, Letter] = {}
    for name in names:
        meant = [entry for entry in letters if name.means(*_identity(entry.letter.id))]
        text = f"{name.partition}:{name.offset}"
        if not meant:
            raise UsageError(
                f"{contract.topic.dlq} has no dead letter {text}.", fix=f"See: lakehouse dlq list {contract.name} --all"
            )
        if len(meant) > 1:
            ids = ", ".join(entry.letter.id for entry in meant)
            raise UsageError(f"{text} means {len(meant)} dead letters.", fix=f"Name one of them: {ids}")
        chosen[meant[0].letter.id] = meant[0]
    return list(chosen.values())


def resend(
    contract: StreamContract,
    settings: Settings,
    names: list[RecordName],
    corrections: Corrections,
    *,
    max_retries: int,
    dry_run: bool = False,
) -> ResendReport:
    """Send open letters' records back to the topic, corrected, and mark the letters.

    The broker has the records before the marks are sent: a crash in between sends them once more with the next call.
    Silver keeps one row per key, so that this doubles nothing.

    Args:
        contract: The stream.
        settings: Brokers and lake.
        names: The letters; all open ones when empty.
        corrections: New values, for each of them.
        max_retries: A record that was sent again so often is refused.
        dry_run: Only say what would be done.

    Raises:
        UsageError: a name means no letter, or several; nothing was sent.
        BrokerUnreachableError: some were not acknowledged; call again.
    """
    report = ResendReport(contract.name)
    with exclusive(lake_lock(settings, f"dlq-{contract.name}"), _LOCK_SECONDS):
        letters, _ = letters_of(contract, settings)
        outgoing: list[tuple[DeadLetter, bytes | None]] = []
        for entry in choose(contract, letters, names) if names else letters:
            letter = entry.letter
            if entry.state != OPEN:
                report.settled.append(letter.id)
            elif letter.retry_count >= max_retries:
                report.refused[letter.id] = f"was sent again {letter.retry_count} times, the limit is {max_retries}"
            else:
                try:
                    outgoing.append((letter, _value(letter, corrections, is_change=contract.is_cdc)))
                except ValueError:
                    report.refused[letter.id] = "is no JSON object, so that no field can be set"
        postman = Postman(settings, contract.topic.name, contract.topic.dlq)
        for first in range(0, 0 if dry_run else len(outgoing), _AT_ONCE):
            some = outgoing[first : first + _AT_ONCE]
            postman.send_again(some)
            crash_point("resend_after_ack")
            postman.mark_replayed([letter for letter, _ in some])
            crash_point("resend_after_mark")
    report.sent.extend(letter.id for letter, _ in outgoing)
    if report.sent and not dry_run:
        details: dict[str, Any] = {"who": current_user(), "letters": report.sent, "fields": sorted(corrections)}
        write_facts(
            LakePaths.of(settings),
            [
                Fact(
                    contract.name, "dlq", "replay", rows=len(report.sent), rejected=len(report.refused), details=details
                )
            ],
        )
    return report


def original(letter: DeadLetter) -> bytes | None:
    """The rejected record's value as it was.

    Raises:
        ValueError: the letter does not hold it in a form that is known.
    """
    text = letter.record["original_record"]
    context = letter.record.get("context")
    encoding = context.get("encoding") if isinstance(context, dict) else None
    if encoding == "left out":
        raise ValueError("the original was too large for a dead letter; `lakehouse quarantine show` has it")
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError("original_record is no text")  # noqa: TRY004 - what is wrong is a message, not an argument
    return base64.b64decode(text, validate=True) if encoding == "base64" else text.encode()


def _value(letter: DeadLetter, corrections: Corrections, *, is_change: bool) -> bytes | None:
    value = original(letter)
    if not corrections:
        return value
    return corrected((value or b"").decode(), corrections, is_change=is_change).encode()


def _identity(record_id: str) -> tuple[str, int, int]:
    topic_id, partition, offset = record_id.rsplit("/", 2)
    return topic_id, int(partition), int(offset)
