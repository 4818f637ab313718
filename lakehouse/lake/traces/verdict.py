"""One bronze record, parsed and judged condition by condition, with the SQL that the pipeline uses.

Here: one Spark query over one row. Not here: what the verdict led to (`traces.versions`).
"""

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.schema.registered import writers_of
from lakehouse.lake.traces.answer import Holds, RuleVerdict
from lakehouse.lake.traces.versions import time_text
from lakehouse.quality.rules import (
    Condition,
    key_conditions,
    rejecting_conditions,
    stopping_conditions,
    truncate_conditions,
    warning_conditions,
)
from lakehouse.transforms.events import PROVENANCE, typed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Examined:
    """A bronze row, read.

    Attributes:
        bronze: Its provenance and raw content; times as text.
        fields: The contract's fields, `event_date` and `_rescued`; times as text.
        key: The business key as text; None when a part of it is missing.
        unreadable: Why nothing could be parsed; empty when it could.
        rules: Every condition with its verdict.
        is_truncate: It is no row but says that all rows were deleted, and the contract applies that.
    """

    bronze: dict[str, Any]
    fields: dict[str, Any]
    key: tuple[str, ...] | None
    unreadable: str
    rules: list[RuleVerdict]
    is_truncate: bool = False

    @property
    def broken(self) -> list[str]:
        """Names of the conditions for which the record is rejected."""
        if self.unreadable:
            return [self.unreadable]
        return [r.rule for r in self.rules if r.severity == "error" and r.verdict in ("broken", "null")]


def examine(rows: "DataFrame", contract: StreamContract, paths: LakePaths) -> list[Examined]:
    """Parse and judge bronze rows; meant for one, or one per generation of the topic."""
    conditions = [*rejecting_conditions(contract), *stopping_conditions(contract), *warning_conditions(contract)]
    kinds = {spec.name: spec.type for spec in contract.fields}
    wanted = [
        *(f"{time_text(name) if kind == 'timestamp' else f'`{name}`'} AS `{name}`" for name, kind in kinds.items()),
        f"to_date(`{contract.event_time}`) AS event_date",
        f"{'_op' if contract.is_cdc else 'NULL'} AS _op",
        "_rescued",
        "_unreadable",
        *(name for name in PROVENANCE if name not in ("_generation", "_ingested_at")),
        "key AS _key",
        "value AS _value",
        f"{time_text('_broker_time')} AS _timestamp",
        "arrival_date AS _arrival_date",
        *(f"cast(`{name}` AS string) AS _key_{number}" for number, name in enumerate(contract.key)),
        *(f"({condition.holds}) AS _rule_{number}" for number, condition in enumerate(conditions)),
    ]
    return [
        _examined(row.asDict(), contract, conditions)
        for row in typed(rows, contract, writers_of(contract, paths)).selectExpr(*wanted).collect()
    ]


def _examined(row: dict[str, Any], contract: StreamContract, conditions: list[Condition]) -> Examined:
    unreadable = str(row["_unreadable"])
    is_truncate = row["_op"] == "t" and contract.applies_truncates
    # A delete has a key and nothing else that a rule could be asked about, a truncate not even that.
    judged_by = {"d": key_conditions(contract), "t": truncate_conditions(contract) if is_truncate else []}
    asked = {condition.name for condition in judged_by.get(row["_op"], conditions)}
    key = [row[f"_key_{number}"] for number in range(len(contract.key))]
    names = ("_topic_id", "_partition", "_offset", "_batch", "_key", "_value", "_timestamp", "_arrival_date")
    return Examined(
        bronze={name.removeprefix("_"): row[name] for name in names},
        fields={name: row[name] for name in (*contract.field_names, "event_date", "_rescued")},
        key=None if unreadable or is_truncate or None in key else tuple(key),
        unreadable=unreadable,
        rules=[
            RuleVerdict(
                c.name, c.severity, _holds(row[f"_rule_{number}"], unreadable or c.name not in asked), c.description
            )
            for number, c in enumerate(conditions)
        ],
        is_truncate=is_truncate and not unreadable,
    )


def _holds(answer: bool | None, not_asked: object) -> Holds:
    if not_asked:
        return "not_asked"
    if answer is None:
        return "null"
    return "holds" if answer else "broken"


def decoded(key: bytes | None, value: bytes | None) -> tuple[str | None, str | None, str]:
    """Raw key and value as text, and how: utf-8 when both are, else base64."""
    try:
        return _text(key, "utf-8"), _text(value, "utf-8"), "utf-8"
    except UnicodeDecodeError:
        return _text(key, "base64"), _text(value, "base64"), "base64"


def _text(part: bytes | None, encoding: str) -> str | None:
    if part is None:
        return None
    return bytes(part).decode() if encoding == "utf-8" else base64.b64encode(bytes(part)).decode()
