"""What a trace tells, as plain data that goes to JSON as it is. Here: shapes, and hiding what is personal."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar, Literal

from lakehouse.contracts.model import StreamContract
from lakehouse.errors import EXIT_UNHEALTHY, LakehouseError

HIDDEN = "•••"

State = Literal["in_silver", "beaten", "quarantined", "not_merged"]
Holds = Literal["holds", "broken", "null", "not_asked"]


class NotFoundError(LakehouseError):
    """What was to be traced is not in the lake."""

    code = "NOT_FOUND"
    exit_code: ClassVar[int] = EXIT_UNHEALTHY


@dataclass(frozen=True)
class Origin:
    """A record as it came from Kafka. Times are UTC.

    Attributes:
        delta_version: Version of bronze that brought it; None when the log no longer reaches back to it.
        on_broker: `yes`, `gone`, or why it could not be asked.
        encoding: Of `key` and `value`: utf-8, or base64 when one of them is no UTF-8.
        value_bytes: Size of the value; None for a record without one.
        other_generations: Generations of the topic that had the same partition and offset too.
    """

    topic: str
    topic_id: str
    generation: int
    partition: int
    offset: int
    timestamp: str
    arrival_date: date
    batch: int
    delta_version: int | None
    committed_at: datetime | None
    on_broker: str
    key: str | None
    value: str | None
    encoding: str
    value_bytes: int | None
    other_generations: list[int]


@dataclass(frozen=True)
class RuleVerdict:
    """One condition on the record. `null` counts as broken; `not_asked`: the value could not be read at all."""

    rule: str
    severity: str
    verdict: Holds
    description: str


@dataclass(frozen=True)
class Version:
    """One record of a key.

    `beaten_by` decided against it: event time, source position, topic generation, partition, offset, or a truncate.
    """

    topic_id: str
    generation: int
    partition: int
    offset: int
    batch: int
    event_time: str | None
    event_date: date | None
    state: State
    reasons: list[str] = field(default_factory=list)
    beaten_by: str = ""

    @property
    def place(self) -> str:
        """Partition and offset as the command takes them."""
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True)
class SilverRow:
    """The row that silver holds for the key, and the commit that merged it (None: the log no longer reaches back)."""

    delta_version: int | None
    committed_at: datetime | None
    through: int
    row: dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A group of a mart in which the record counts, its totals, and the record's own row if the mart has one."""

    table: str
    by: dict[str, Any]
    totals: dict[str, Any]
    row: dict[str, Any] | None = None


@dataclass(frozen=True)
class GoldPart:
    """Where the record is in gold. `note` says why it is nowhere; `cells` are empty then."""

    silver_version: int | None
    includes: bool
    note: str = ""
    cells: list[Cell] = field(default_factory=list)


@dataclass(frozen=True)
class Trace:
    """The whole answer for one record."""

    stream: str
    record: Origin
    fields: dict[str, Any]
    rules: list[RuleVerdict]
    state: State
    reasons: list[str]
    why: str
    silver: SilverRow | None
    versions: list[Version]
    gold: GoldPart


@dataclass(frozen=True)
class CellTrace:
    """The silver rows behind rows of a mart.

    Attributes:
        silver_version: The version of silver that gold was built from, in which the rows were looked up.
        cells: The rows of the mart that were asked for, as far as they are told apart by group or key.
        count: Silver rows behind them.
        offsets: The first of those, ordered by partition and offset.
        totals: Per total: what the mart says and what these silver rows add up to.
    """

    stream: str
    table: str
    silver_version: int
    cells: list[dict[str, Any]]
    count: int
    offsets: list[dict[str, Any]]
    totals: dict[str, dict[str, Any]]


def shown(contract: StreamContract, row: dict[str, Any], *, show_pii: bool) -> dict[str, Any]:
    """The row with personal fields hidden, and with them what may carry any of them: keys that no field names."""
    personal = {spec.name for spec in contract.fields if spec.pii}
    if show_pii or not personal:
        return row
    hidden = personal | {"_rescued"}
    return {name: HIDDEN if name in hidden and value is not None else value for name, value in row.items()}


def shown_raw(contract: StreamContract, text: str | None, *, show_pii: bool) -> str | None:
    """Raw content, hidden when the stream has personal fields: a broken record may carry them anywhere."""
    is_personal = any(spec.pii for spec in contract.fields)
    return HIDDEN if text is not None and is_personal and not show_pii else text
