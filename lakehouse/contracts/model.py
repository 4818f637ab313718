"""What a stream promises, as one model: topic, fields, rules, keys, freshness. Read from `defs/streams/*/defs.yaml`.

Here: the shape of the contract and the checks that need nothing but the contract. Not here: files and line numbers
(`contracts.load`), schema renderings (`contracts.schemas`), SQL analysis by Spark (`quality.rules`).
"""

import re
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from lakehouse.contracts.change import CHANGED_AT, VERSION_COLUMNS, ChangeSpec, Encoding
from lakehouse.contracts.sql import sql_problem

NAME = r"^[a-z][a-z0-9_]{0,62}$"
TOPIC_NAME = r"^[a-zA-Z0-9._-]{1,200}$"
_DECIMAL = re.compile(r"^decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)$")
_DURATION = re.compile(r"^(\d+)\s*(s|m|h|d)$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
SIMPLE_TYPES = ("string", "integer", "long", "double", "boolean", "date", "timestamp")

Severity = Literal["warn", "error", "fail"]
Mode = Literal["append", "upsert", "cdc"]
TopicKind = Literal["streaming", "batch", "events"]


def parse_duration(value: object) -> timedelta:
    """Turn `10m`, `7d`, `90s`, `2h` into a timedelta.

    Raises:
        ValueError: when the text has another form.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(str(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is no duration; write a whole number and s, m, h or d, for example 10m or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _known_type(value: str) -> str:
    text = value.strip().lower()
    match = _DECIMAL.match(text)
    if match:
        precision, scale = int(match[1]), int(match[2])
        if not (1 <= precision <= 38 and scale <= precision):
            raise ValueError(f"{value!r}: a decimal has 1 to 38 digits and no more decimals than digits")
        return f"decimal({precision},{scale})"
    if text not in SIMPLE_TYPES:
        raise ValueError(f"{value!r} is no field type; allowed: {', '.join(SIMPLE_TYPES)}, decimal(p,s)")
    return text


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    # Written as it is read, so that a contract survives the way through JSON.
    PlainSerializer(lambda value: f"{int(value.total_seconds())}s", return_type=str),
]
FieldType = Annotated[str, AfterValidator(_known_type)]
Name = Annotated[str, Field(pattern=NAME)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TopicSpec(_Strict):
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


class Upstream(_Strict):
    """A system outside that fills the topic. `family` is what kind of system it is."""

    name: Name
    family: Literal["api", "database", "file", "queue", "device", "simulator"]
    description: str = Field(min_length=3)


class FieldSpec(_Strict):
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


class Rule(_Strict):
    """A condition that every row must meet, as Spark SQL over the fields.

    `warn` keeps and counts the row, `error` sends it to quarantine, `fail` stops the batch before silver.
    `tolerance` is the share of rows (0 to 1) up to which a broken `error` rule does not block gold.
    """

    name: Name
    sql: str = Field(min_length=1)
    severity: Severity = "error"
    description: str = ""
    tolerance: float = Field(0.05, ge=0, le=1)


class TableRule(_Strict):
    """A condition on a whole batch. `max_reject_share`: rejected / read, 0 to 1. `min_rows`: valid rows."""

    name: Name
    kind: Literal["max_reject_share", "min_rows"]
    limit: float = Field(ge=0)
    severity: Literal["warn", "fail"] = "fail"


class Evolution(_Strict):
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


class Freshness(_Strict):
    """Ages after which the stream's tables count as late."""

    warn: Duration = timedelta(minutes=10)
    fail: Duration = timedelta(minutes=60)

    @model_validator(mode="after")
    def _ordered(self) -> "Freshness":
        if self.warn >= self.fail:
            raise ValueError("freshness: warn must be shorter than fail")
        return self


class Lateness(_Strict):
    """How far an event's time may lie from the broker's. Beyond it the row is quarantined. No `past`: unlimited."""

    past: Duration | None = None
    future: Duration = timedelta(days=1)


class Reconciliation(_Strict):
    """A gold table whose totals must equal silver's: group columns (gold: silver SQL) and totals (gold: silver SQL)."""

    table: Name
    by: dict[Name, str] = {}
    totals: dict[Name, str] = Field(min_length=1)
    where: str = "true"


class StreamContract(_Strict):
    """The whole promise of one stream. See `lakehouse/defs/streams/sales/defs.yaml` for a commented example."""

    name: Name
    description: str = Field(min_length=3)
    topic: TopicSpec
    upstream: list[Upstream] = []
    owners: list[str] = Field(min_length=1)
    start: date = Field(description="First daily partition (UTC): the earliest event date")
    poll: Duration = Field(
        timedelta(seconds=5), description="How often the arrivals sensor looks; longer where nobody waits for the rows"
    )
    event_time: str
    key: list[str] = Field(min_length=1)
    mode: Mode = "upsert"
    change: ChangeSpec = ChangeSpec()
    history: Literal["none", "scd2"] = "none"
    track: list[str] = []
    partition_by: list[str] = []
    fields: list[FieldSpec] = Field(min_length=1)
    rules: list[Rule] = []
    table_rules: list[TableRule] = []
    unique: list[str] = []
    evolve: Evolution = Evolution()
    freshness: Freshness = Freshness()
    lateness: Lateness = Lateness()
    reconcile: list[Reconciliation] = []
    sinks: list[Literal["postgres"]] = Field([], description="Databases that get a copy of silver when it is new")

    @property
    def is_cdc(self) -> bool:
        """Whether the events are change records, of which silver keeps the current state per key."""
        return self.mode == "cdc"

    @property
    def latest_wins(self) -> bool:
        """Whether the last record of a key is silver's row; in append mode it is the first."""
        return self.mode != "append"

    @property
    def keeps_history(self) -> bool:
        """Whether the stream has a history table."""
        return self.history != "none"

    @property
    def identity(self) -> list[str]:
        """Columns that tell silver's rows apart. What changes keeps its key, while its time moves."""
        return list(self.key) if self.is_cdc else ["event_date", *self.key]

    @property
    def partition_columns(self) -> list[str]:
        """Columns by which silver is partitioned."""
        return [] if self.is_cdc else ["event_date", *self.partition_by]

    @property
    def tracked(self) -> list[str]:
        """Fields whose change makes a new version in the history."""
        return self.track or [name for name in self.field_names if name not in self.key]

    @property
    def consumer_group(self) -> str:
        """The consumer group whose offsets tell lag tools how far bronze has read."""
        return self.topic.consumer_group or f"lakehouse-{self.name}"

    @property
    def field_names(self) -> list[str]:
        """Names of the columns, in the order of the YAML."""
        return [field.name for field in self.fields]

    def field(self, name: str) -> FieldSpec:
        """The field of that name.

        Raises:
            KeyError: when the contract has none.
        """
        for spec in self.fields:
            if spec.name == name:
                return spec
        raise KeyError(name)

    @model_validator(mode="before")
    @classmethod
    def _change_time(cls, data: Any) -> Any:
        """A change happened when its source committed it; a `cdc` stream names no other time."""
        if isinstance(data, dict) and data.get("mode") == "cdc":
            return {"event_time": CHANGED_AT} | data
        return data

    @model_validator(mode="after")
    def _consistent(self) -> "StreamContract":
        names = self.field_names
        problems: list[str] = []
        problems += _duplicates("fields", names)
        problems += _duplicates("upstream", [source.name for source in self.upstream])
        problems += _duplicates("rules", [rule.name for rule in self.rules] + [rule.name for rule in self.table_rules])
        taken = ["event_date", *(VERSION_COLUMNS if self.keeps_history else ())]
        reserved = [name for name in names if name in taken]
        problems += [f"fields: {name} is a name that silver uses itself" for name in reserved]
        problems += _alias_problems(self.fields)
        for label, columns in (
            ("event_time", [] if self.is_cdc else [self.event_time]),
            ("key", self.key),
            ("track", self.track),
            ("partition_by", self.partition_by),
            ("unique", self.unique),
            ("topic.key_field", [self.topic.key_field] if self.topic.key_field else []),
        ):
            problems += [
                f"{label}: {column} is no field; allowed: {', '.join(names)}"
                for column in columns
                if column not in names
            ]
        problems += self._mode_problems()
        if not problems and not self.is_cdc and self.field(self.event_time).type != "timestamp":
            problems.append(
                f"event_time: {self.event_time} must be of type timestamp, not {self.field(self.event_time).type}"
            )
        problems += self._sql_problems()
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _mode_problems(self) -> list[str]:
        """Options that do not go together."""
        found = []
        if self.is_cdc and self.event_time != CHANGED_AT:
            found.append("event_time: a cdc stream has none; its changes are ordered by the source (change.order)")
        if self.is_cdc and self.partition_by:
            found.append("partition_by: a cdc stream has no partitions, because its rows move")
        if self.is_cdc and any(field.name in self.key and field.derive is not None for field in self.fields):
            found.append("key: a derived field is no key of a cdc stream; a delete may carry nothing but the key")
        if self.is_cdc and self.topic.format != "json":
            found.append("topic.format: change records are read as json")
        if self.topic.format == "avro" and any(field.encoding for field in self.fields):
            found.append("topic.format: Avro has types of its own; a field with an encoding is for json")
        if not self.is_cdc and self.change != ChangeSpec():
            found.append("change: only for mode cdc")
        if self.track and not self.keeps_history:
            found.append("track: only with history: scd2")
        if self.keeps_history and self.mode == "append":
            found.append("history: an append stream has no versions; allowed with mode upsert or cdc")
        return found

    def _sql_problems(self) -> list[str]:
        """What is wrong with the SQL in this contract, each with the place it stands at."""
        names = self.field_names
        found = [(f"rules.{i}.sql", sql_problem(rule.sql, names)) for i, rule in enumerate(self.rules)]
        for i, field in enumerate(self.fields):
            if field.parse is not None:
                found.append((f"fields.{i}.parse", sql_problem(field.parse, ["value"])))
            if field.derive is not None:
                found.append((f"fields.{i}.derive", sql_problem(field.derive, names)))
        for i, wanted in enumerate(self.reconcile):
            for part, texts in (("by", wanted.by), ("totals", wanted.totals)):
                for name, text in texts.items():
                    found.append((f"reconcile.{i}.{part}.{name}", sql_problem(text, [*names, "event_date"])))
        return [f"{place}: {problem}" for place, problem in found if problem is not None]


def _alias_problems(fields: list[FieldSpec]) -> list[str]:
    """A former name that another field has today, or also claims: nobody could tell whose value it is."""
    problems = []
    for i, field in enumerate(fields):
        others = [other for other in fields if other is not field]
        taken = {name for other in others for name in (other.name, *other.keys)}
        problems += [f"fields.{i}.aliases: {name} belongs to another field" for name in field.aliases if name in taken]
    return problems


def _duplicates(label: str, names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    return [f"{label}: {name} appears twice" for name in twice]
