"""What a stream promises, as one model: topic, fields, rules, keys, freshness. Read from `defs/streams/*/defs.yaml`.

Here: the shape of the contract and the checks that need nothing but the contract. Not here: files and line numbers
(`contracts.load`), schema renderings (`contracts.schemas`), SQL analysis by Spark (`quality.rules`).
"""

import re
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from lakehouse.contracts.sql import sql_problem

NAME = r"^[a-z][a-z0-9_]{0,62}$"
TOPIC_NAME = r"^[a-zA-Z0-9._-]{1,200}$"
_DECIMAL = re.compile(r"^decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)$")
_DURATION = re.compile(r"^(\d+)\s*(s|m|h|d)$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
SIMPLE_TYPES = ("string", "integer", "long", "double", "boolean", "date", "timestamp")

Severity = Literal["warn", "error", "fail"]
Mode = Literal["append", "upsert"]
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

    `config` takes further topic settings by Kafka's own names.
    """

    name: str = Field(pattern=TOPIC_NAME)
    kind: TopicKind = "streaming"
    partitions: int = Field(6, ge=1, le=1000)
    replication_factor: int = Field(1, ge=1, le=10, description="Brokers that hold a copy; 3 in production")
    retention: Duration = timedelta(days=7)
    config: dict[str, str] = {}

    @property
    def dlq(self) -> str:
        """Name of the dead-letter topic."""
        return f"{self.name}.dlq"


class FieldSpec(_Strict):
    """One column of silver.

    `source` is the JSON key when it differs from the name. `parse` is a Spark SQL expression over `value`, the raw text
    of that key, whose result is cast to the type. `derive` is an expression over the other fields: the column is not in
    the event. A field that is not `nullable` rejects rows in which it is missing.
    """

    name: Name
    type: FieldType
    description: str = Field(min_length=3)
    nullable: bool = False
    pii: bool = False
    source: str | None = None
    parse: str | None = None
    derive: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "FieldSpec":
        if self.derive is not None and (self.parse is not None or self.source is not None):
            raise ValueError(f"field {self.name}: a derived field has neither source nor parse")
        return self

    @property
    def key(self) -> str:
        """The JSON key that carries this field."""
        return self.source or self.name


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
    """What happens to silver when the contract or the events change."""

    add: Literal["auto", "stop"] = "auto"
    widen: Literal["auto", "stop"] = "auto"
    rename: Literal["stop"] = "stop"
    drop: Literal["keep_null", "stop"] = "keep_null"
    type: Literal["quarantine"] = "quarantine"


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
    by: dict[str, str] = {}
    totals: dict[str, str] = Field(min_length=1)
    where: str = "true"


class StreamContract(_Strict):
    """The whole promise of one stream. See `lakehouse/defs/streams/sales/defs.yaml` for a commented example."""

    name: Name
    description: str = Field(min_length=3)
    topic: TopicSpec
    owners: list[str] = Field(min_length=1)
    start: date = Field(description="First daily partition (UTC): the earliest event date")
    event_time: str
    key: list[str] = Field(min_length=1)
    mode: Mode = "upsert"
    partition_by: list[str] = []
    fields: list[FieldSpec] = Field(min_length=1)
    rules: list[Rule] = []
    table_rules: list[TableRule] = []
    unique: list[str] = []
    evolve: Evolution = Evolution()
    freshness: Freshness = Freshness()
    lateness: Lateness = Lateness()
    reconcile: list[Reconciliation] = []

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

    @model_validator(mode="after")
    def _consistent(self) -> "StreamContract":
        names = self.field_names
        problems: list[str] = []
        problems += _duplicates("fields", names)
        problems += _duplicates("rules", [rule.name for rule in self.rules] + [rule.name for rule in self.table_rules])
        reserved = [name for name in names if name == "event_date"]
        problems += [f"fields: {name} is a name that silver uses itself" for name in reserved]
        for label, columns in (
            ("event_time", [self.event_time]),
            ("key", self.key),
            ("partition_by", self.partition_by),
            ("unique", self.unique),
        ):
            problems += [
                f"{label}: {column} is no field; allowed: {', '.join(names)}"
                for column in columns
                if column not in names
            ]
        if not problems and self.field(self.event_time).type != "timestamp":
            problems.append(
                f"event_time: {self.event_time} must be of type timestamp, not {self.field(self.event_time).type}"
            )
        problems += self._sql_problems()
        if problems:
            raise ValueError("\n".join(problems))
        return self

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


def _duplicates(label: str, names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    return [f"{label}: {name} appears twice" for name in twice]
