"""The schema that a stream's silver was last brought up to, kept by silver itself as a property of the Delta table.

It is committed with the table's other metadata and goes where the table goes: copied, restored or set aside with it.
Here: reading it, writing it as SQL. Not here: comparing schemas (`contracts.evolution`), following one
(`lake.schema.evolve`).
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from lakehouse.contracts.evolution import Schema, refused, schema_of
from lakehouse.contracts.model import StreamContract
from lakehouse.errors import SchemaIncompatibleError
from lakehouse.lake.paths import LakePaths, table_exists
from lakehouse.quality.rules import quote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROPERTY = "lakehouse.schema"


class Rest(BaseModel):
    """What is left to do on the rows that were there when a schema was accepted.

    Attributes:
        fill: Renamed columns, new name to former one: the values are to be carried over.
        keys: Keys that the contract knows now; rows that hold one in `_rescued` are to be read anew.
        everything: All rows are to be read anew.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fill: dict[str, str] = {}
    keys: tuple[str, ...] = ()
    everything: bool = False

    def __bool__(self) -> bool:
        return bool(self.fill or self.keys or self.everything)


class Accepted(BaseModel):
    """What silver holds.

    Attributes:
        version: Grows by one with each accepted schema, from 1.
        shape: The fields, the key, the partitions.
        retired: Columns that the contract had once, each with the keys by which events carried it. The column stays.
        rest: What the next drain has to do first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    shape: Schema
    retired: dict[str, tuple[str, ...]] = {}
    rest: Rest = Rest()

    @property
    def ignored(self) -> list[str]:
        """Keys of events that only retired columns had."""
        return sorted({key for keys in self.retired.values() for key in keys} - self.shape.keys)


def read_accepted(silver: str) -> Accepted | None:
    """What the silver table at this path holds; None when there is no table, or it was never told."""
    if not table_exists(silver):
        return None
    from deltalake import DeltaTable

    text = DeltaTable(silver, without_files=True).metadata().configuration.get(PROPERTY)
    return None if text is None else Accepted.model_validate_json(text)


def last_accepted(silver: str) -> Accepted | None:
    """As `read_accepted`, of a table whose log may be damaged: what the newest legible commit says of it."""
    for file in sorted(Path(silver, "_delta_log").glob("*.json"), reverse=True):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                action = json.loads(line)
            except json.JSONDecodeError:
                continue
            text = action.get("metaData", {}).get("configuration", {}).get(PROPERTY)
            if text is not None:
                return Accepted.model_validate_json(text)
    return None


def note_accepted(spark: "SparkSession", silver: str, accepted: Accepted) -> None:
    """Write it into the table's metadata, in a commit of its own."""
    text = quote(accepted.model_dump_json())
    spark.sql(f"ALTER TABLE delta.`{silver}` SET TBLPROPERTIES ('{PROPERTY}' = {text})").collect()


def ignored_keys(paths: LakePaths, stream: str) -> list[str]:
    """Keys of events that the stream's contract read once. The live table tells, also when another one is filled."""
    accepted = read_accepted(LakePaths(paths.root).silver(stream))
    return [] if accepted is None else accepted.ignored


def require_followed(contract: StreamContract, accepted: Accepted | None) -> None:
    """Refuse to write rows of this contract into a silver that was brought up to another one meanwhile.

    Raises:
        SchemaIncompatibleError: when their schemas differ.
    """
    if accepted is not None and accepted.shape != schema_of(contract):
        raise SchemaIncompatibleError(
            f"Silver of stream {contract.name} was brought up to another version of the contract (schema "
            f"{accepted.version}) while this run worked by its own.",
            why="The YAML was changed and another drain has started with it.",
            fix=f"Start again, so that the contract of today is read: lakehouse drain {contract.name}",
        )


def schema_problems(contract: StreamContract, paths: LakePaths) -> list[str]:
    """Why silver cannot follow this contract, one line for each field and rule; empty when it can."""
    accepted = read_accepted(paths.silver(contract.name))
    if accepted is None:
        return []
    return [str(change) for change in refused(accepted.shape, schema_of(contract), contract.evolve)]


def unfollowed(contract: StreamContract, paths: LakePaths) -> str:
    """Why silver is not what this contract makes of bronze yet, in one sentence; empty when it is."""
    accepted = read_accepted(paths.silver(contract.name))
    if accepted is None:
        return ""
    if accepted.shape != schema_of(contract):
        return (
            f"the contract has changed since schema {accepted.version} of silver; run: lakehouse drain {contract.name}"
        )
    if accepted.rest:
        return f"older rows wait to be read by schema {accepted.version}; run: lakehouse drain {contract.name}"
    return ""
