"""The parts of a stream's contract: topic, fields, rules, evolution, freshness. Each checks what it alone can know.

Not here: the whole and what must fit together (`contracts.model`).
"""

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from lakehouse.contracts.change import Encoding
from lakehouse.contracts.types import TOPIC_NAME, Duration, FieldType, Name, Strict

Severity = Literal["warn", "error", "fail"]
TopicKind = Literal["streaming", "batch", "events"]


class TopicSpec(Strict):
    """The stream's Kafka topic. `kind`: streaming, batch (filled by extracts from time to time) or events.

    `config` takes further topic settings by Kafka's own names, `format` is of the values. Records with an equal
    `key_field` land on one partition; without it the stream's key is taken.
    """

    name: str = Field(pattern=TOPIC_NAME)
    kind: TopicKind = "streaming"
    partitions: int = Field(6, ge=1, le=1000)
    replication_factor: int = Field(1, ge=1, le=10, description="Brokers that hold a copy; 3 in production")
    retention: Duration = timedelta(days=7)
    config: dict[str, str] = {}
    format: Literal["json", "avro"] = "json"
    consumer_group: str | None = Field(None, pattern=TOPIC_NAME, description="Whose position lag tools show")
    key_field: str | None = Field(None, description="Field whose value keys the records: equal values keep their order")

    @field_validator("name")
    @classmethod
    def _no_folder(cls, name: str) -> str:
        if name in {".", ".."}:
            raise ValueError(f"{name!r} is no topic name: Kafka refuses it")
        return name

    @property
    def dlq(self) -> str:
        """Name of the dead-letter topic."""
        return f"{self.name}.dlq"


class Upstream(Strict):
    """A system outside that fills the topic. `family`: its kind; `by`: the pipeline's step that sends."""

    name: Name
    family: Literal["api", "database", "file", "queue", "device", "simulator"]
    description: str = Field(min_length=3)
    by: str | None = Field(None, pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", description="<pipeline>.<step>")


class FieldSpec(Strict):
    """One column of silver.

    `source` is the JSON key when it differs from the name; `aliases` are further keys for the same thing, asked in this
    order when the first is missing. `parse` is a Spark SQL expression over `value`, the raw text of that key, whose
    result is cast to the type. `encoding` names a way of writing instead: times as numbers since 1970, decimals as
    base64. `derive` is an expression over the other fields: the column is not in the event. A field that is not
    `nullable` rejects rows in which it is missing.
    """

    name: Name
    type: FieldType
    description: str = Field(min_length=3)
    nullable: bool = False
    pii: bool = False
    source: str | None = None
    aliases: list[str] = []
    parse: str | None = None
    encoding: Encoding | None = None
    derive: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "FieldSpec":
        if self.encoding is not None:
            if self.parse is not None or self.derive is not None:
                raise ValueError(f"field {self.name}: a field with an encoding has neither parse nor derive")
            if self.type.startswith("decimal") != (self.encoding == "base64") or (
                self.encoding != "base64" and self.type != "timestamp"
            ):
                raise ValueError(
                    f"field {self.name}: encoding {self.encoding} is not for {self.type}; "
                    "base64 is for decimals, the others are for timestamps"
                )
        if self.derive is not None and (self.parse is not None or self.source is not None or self.aliases):
            raise ValueError(f"field {self.name}: a derived field has neither source nor aliases nor parse")
        return self

    @property
    def key(self) -> str:
        """The JSON key that carries this field."""
        return self.source or self.name

    @property
    def keys(self) -> list[str]:
        """Every JSON key that may carry this field, the most wanted first."""
        return list(dict.fromkeys([self.key, *self.aliases]))

    def value_in(self, event: dict[str, Any]) -> Any:
        """What a parsed event has for this field, under the first of its keys that is not null; None without any."""
        return next((event[key] for key in self.keys if event.get(key) is not None), None)


class Rule(Strict):
    """A condition that every row must meet, as Spark SQL over the fields.

    `warn` keeps and counts the row, `error` sends it to quarantine, `fail` stops the batch before silver.
    `tolerance` is the share of rows (0 to 1) up to which a broken `error` rule does not block gold.
    """

    name: Name
    sql: str = Field(min_length=1)
    severity: Severity = "error"
    description: str = ""
    tolerance: float = Field(0.05, ge=0, le=1)


class TableRule(Strict):
    """A condition on a whole batch. `max_reject_share`: rejected / read, 0 to 1. `min_rows`: valid rows."""

    name: Name
    kind: Literal["max_reject_share", "min_rows"]
    limit: float = Field(ge=0)
    severity: Literal["warn", "fail"] = "fail"


class Evolution(Strict):
    """What happens to silver when the contract or the events change; see docs/schemas.md.

    `add`, `widen`, `rename`, `drop`: the contract changes, and silver follows or the drain stops; under `add: stop` an
    event with a key that the contract does not know stops the batch too. `type`: an event's value is not of its type;
    the event goes to quarantine, or the batch stops.
    """

    add: Literal["auto", "stop"] = "auto"
    widen: Literal["auto", "stop"] = "auto"
    rename: Literal["alias", "stop"] = "stop"
    drop: Literal["keep_null", "stop"] = "keep_null"
    type: Literal["quarantine", "stop"] = "quarantine"


class Freshness(Strict):
    """Ages after which the stream's tables count as late."""

    warn: Duration = timedelta(minutes=10)
    fail: Duration = timedelta(minutes=60)

    @model_validator(mode="after")
    def _ordered(self) -> "Freshness":
        if self.warn >= self.fail:
            raise ValueError("freshness: warn must be shorter than fail")
        return self


class Lateness(Strict):
    """How far an event's time may lie from the broker's. Beyond it the row is quarantined. No `past`: unlimited."""

    past: Duration | None = None
    future: Duration = timedelta(days=1)


class Retention(Strict):
    """Ages, in whole days, at which arrival days are deleted from tables; without one rows stay for ever.

    `quarantine` is never longer than `bronze`, whose records it points to. `archive` writes the rows to Parquet first.
    """

    bronze: Duration | None = None
    quarantine: Duration | None = None
    archive: bool = False

    @model_validator(mode="after")
    def _possible(self) -> "Retention":
        for name, age in (("bronze", self.bronze), ("quarantine", self.quarantine)):
            if age is not None and (age < timedelta(days=1) or age % timedelta(days=1)):
                raise ValueError(f"retention: {name} is a number of whole days, 1d or more")
        if self.bronze is not None and self.quarantine is not None and self.quarantine > self.bronze:
            raise ValueError("retention: quarantine must not be longer than bronze: it points to bronze's records")
        return self

    def of(self, layer: str) -> timedelta | None:
        """The age for a layer; None: its rows stay."""
        ages = {"bronze": self.bronze, "quarantine": self.quarantine or self.bronze}
        return ages.get(layer)


class Reconciliation(Strict):
    """A gold table whose totals must equal silver's: group columns (gold: silver SQL) and totals (gold: silver SQL)."""

    table: Name
    by: dict[Name, str] = {}
    totals: dict[Name, str] = Field(min_length=1)
    where: str = "true"
