"""The dead-letter record: what is sent to `<topic>.dlq` about an event that could not be taken.

Here: its six keys, its JSON, its id. Not here: when an event is rejected (`lake`), sending.
"""

import base64
import json
import uuid
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

ID_HEADER = "dead-letter-id"
_NAMESPACE = uuid.UUID("6c0f8a52-7d0b-5f0e-9d55-1f6d1c1b7c11")


@dataclass(frozen=True)
class DeadLetter:
    """One rejected event.

    Attributes:
        original_record: The value as text; base64 when the bytes are no UTF-8 (`context.encoding` says so); null
            when the event had none.
        error_type: The kind of failure, such as ValidationError.
        error_message: Every reason, one sentence.
        timestamp: When it was rejected, UTC, ISO 8601 with Z.
        context: Where it came from: topic, topic_id, partition, offset and what else helps.
        retry_count: How often it was tried again before.
    """

    original_record: str | None
    error_type: str
    error_message: str
    timestamp: str
    context: dict[str, object] = field(default_factory=dict)
    retry_count: int = 0

    def to_json(self) -> bytes:
        """The record as UTF-8 JSON with exactly the six keys."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "DeadLetter":
        """Read `to_json`'s form back.

        Raises:
            ValueError: when the bytes are no such record.
        """
        try:
            return cls(**json.loads(data))
        except TypeError as error:
            raise ValueError(f"no dead-letter record: {error}") from error

    def original_bytes(self) -> bytes | None:
        """The event's value, byte for byte as it was."""
        if self.original_record is None:
            return None
        if self.context.get("encoding") == "base64":
            return base64.b64decode(self.original_record)
        return self.original_record.encode()

    def retried(self) -> "DeadLetter":
        """The same record after one more try."""
        return replace(self, retry_count=self.retry_count + 1)


def dead_letter(
    value: bytes | None,
    *,
    error_type: str,
    error_message: str,
    topic: str,
    topic_id: str,
    partition: int,
    offset: int,
    at: datetime | None = None,
    retry_count: int = 0,
    **context: object,
) -> DeadLetter:
    """Build the record of an event that was rejected; `context` takes further facts."""
    facts: dict[str, object] = {
        "topic": topic,
        "topic_id": topic_id,
        "partition": partition,
        "offset": offset,
        **context,
    }
    original: str | None = None
    if value is not None:
        try:
            original = value.decode("utf-8")
        except UnicodeDecodeError:
            original = base64.b64encode(value).decode("ascii")
            facts["encoding"] = "base64"
    moment = (at or datetime.now(UTC)).astimezone(UTC)
    return DeadLetter(
        original_record=original,
        error_type=error_type,
        error_message=error_message,
        timestamp=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        context=facts,
        retry_count=retry_count,
    )


def dead_letter_id(topic_id: str, partition: int, offset: int) -> str:
    """An id that is the same whenever the same event is rejected again, so that readers can drop repeats."""
    return str(uuid.uuid5(_NAMESPACE, f"{topic_id}/{partition}/{offset}"))


def headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """Kafka headers of the record: its id and its retry count."""
    identity = dead_letter_id(
        str(letter.context["topic_id"]), int(str(letter.context["partition"])), int(str(letter.context["offset"]))
    )
    return [(ID_HEADER, identity.encode()), ("retry_count", str(letter.retry_count).encode())]
