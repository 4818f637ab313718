"""What a contract says about change records: `mode: cdc` and how its source orders them.

Here: the options and the names of what silver adds for them. Not here: reading change records (`transforms.changes`).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

CHANGED_AT = "_changed_at"
"""The event time of every `cdc` stream: when the source committed the change."""

CHANGE_COLUMNS = {
    "_op": "string",
    "_deleted": "boolean",
    CHANGED_AT: "timestamp",
    "_position": "array<bigint>",
}
"""What silver of a `cdc` stream has besides the columns of every silver table, with Spark's types."""

VERSION_COLUMNS = {
    "valid_from": "timestamp",
    "valid_to": "timestamp",
    "is_version": "boolean",
    "is_current": "boolean",
}
"""What a history table has besides the columns of silver, with Spark's types."""

Encoding = Literal["millis", "micros", "nanos", "base64"]
"""How a source writes values that JSON has no type for: times as numbers since 1970, decimals as bytes."""


class ChangeSpec(BaseModel):
    """How the change records of a `cdc` stream are read.

    Attributes:
        shape: `envelope` ({before, after, op, …}), `flat` (the row alone, as ExtractNewRecordState leaves it), or
            `auto`: an object with `op` and with `before` or `after` is an envelope.
        order: Names in the envelope's `source` block (flat: added fields or headers `__source_<name>`, `__<name>`)
            whose numbers order the changes of one key, most significant first; of a text, its trailing digits count.
            None named: Kafka's order alone.
        truncate: What becomes of a truncated table (op `t`): `reject` quarantines the record, silver keeps its rows;
            `ignore` passes over it; `apply` deletes every row that comes before it in the source's order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: Literal["auto", "envelope", "flat"] = "auto"
    order: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]] = ["lsn"]
    truncate: Literal["reject", "ignore", "apply"] = "reject"
