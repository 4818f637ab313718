"""What a stream promises, as one model: topic, fields, rules, keys, freshness. Read from `defs/streams/*/defs.yaml`.

Here: the shape of the contract and the checks that need nothing but the contract. Not here: files and line numbers
(`contracts.load`), schema renderings (`contracts.schemas`), SQL analysis by Spark (`quality.rules`).
"""

from datetime import date, timedelta
from typing import Any, Literal, get_args

from pydantic import Field, model_validator

from lakehouse.contracts.change import CHANGED_AT, VERSION_COLUMNS, ChangeSpec, Encoding
from lakehouse.contracts.parts import (
    Evolution,
    FieldSpec,
    Freshness,
    Lateness,
    Reconciliation,
    Retention,
    Rule,
    TableRule,
    TopicSpec,
    Upstream,
)
from lakehouse.contracts.sql import condition_problem, sql_problem
from lakehouse.contracts.types import RESERVED, Duration, SqlName, Strict

Mode = Literal["append", "upsert", "cdc"]


class StreamContract(Strict):
    """The whole promise of one stream. See `lakehouse/defs/streams/sales/defs.yaml` for a commented example."""

    name: SqlName
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
    retention: Retention = Retention()
    reconcile: list[Reconciliation] = []
    sinks: list[Literal["postgres"]] = Field([], description="Databases that get a copy of silver when it is new")

    @property
    def is_cdc(self) -> bool:
        """Whether the events are change records, of which silver keeps the current state per key."""
        return self.mode == "cdc"

    @property
    def applies_truncates(self) -> bool:
        """Whether a truncate of the source's table deletes rows. Silver then keeps it as a row without a key."""
        return self.is_cdc and self.change.truncate == "apply"

    @property
    def ignores_truncates(self) -> bool:
        """Whether truncates are passed over without a trace in silver or quarantine."""
        return self.is_cdc and self.change.truncate == "ignore"

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
        taken = [*RESERVED, *(VERSION_COLUMNS if self.keeps_history else ())]
        problems += [
            f"fields: {name} is a name that the tables use themselves; choose another and add source: {name}"
            for name in names
            if name in taken
        ]
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
        # A source's times are numbers in Avro as well, when its converter knows no type for them.
        needless = {"base64"} if self.is_cdc else set(get_args(Encoding))
        if self.topic.format == "avro" and any(field.encoding in needless for field in self.fields):
            found.append("topic.format: Avro has types of its own; a field with an encoding is for json")
        if not self.is_cdc and self.change != ChangeSpec():
            found.append("change: only for mode cdc")
        if self.applies_truncates and not self.change.order and self.topic.partitions > 1:
            found.append("change.truncate: apply needs change.order; Kafka orders nothing across partitions")
        if self.retention.bronze is not None and (self.is_cdc or self.keeps_history):
            found.append("retention.bronze: current state and history are made of every change; bronze must keep them")
        if self.track and not self.keeps_history:
            found.append("track: only with history: scd2")
        if self.keeps_history and self.mode == "append":
            found.append("history: an append stream has no versions; allowed with mode upsert or cdc")
        return found

    def _sql_problems(self) -> list[str]:
        """What is wrong with the SQL in this contract, each with the place it stands at."""
        names = self.field_names
        found = [(f"rules.{i}.sql", condition_problem(rule.sql, names)) for i, rule in enumerate(self.rules)]
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
        # Spark tells keys apart by their case where it parses, and not where it reads what was parsed.
        alike = {key.lower(): key for other in others for key in other.keys} | {key.lower(): key for key in field.keys}
        problems += [
            f"fields.{i}: the keys {key} and {alike[key.lower()]} differ in case only; name one of them"
            for key in field.keys
            if alike[key.lower()] != key
        ]
    return problems


def _duplicates(label: str, names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    return [f"{label}: {name} appears twice" for name in twice]
