"""Silver's columns follow the contract: what each allowed change does to a table that is there.

Here: columns, and the commit that accepts the new schema. Not here: which changes are allowed (`contracts.evolution`),
the rows that are there (`lake.rebuild.reread`), new tables (`lake.schema.tables`).

Order makes it safe to be killed: columns first, then one commit with the new schema and what is left to do on the rows,
then the rows, then one commit that says nothing is left. From the second step on no writer with the old contract gets
in any more.
"""

from typing import TYPE_CHECKING

from lakehouse.contracts.evolution import Change, Schema, SchemaField, changes, has_more_decimals, refused, schema_of
from lakehouse.contracts.model import StreamContract
from lakehouse.engine.crash import crash_point
from lakehouse.errors import SchemaIncompatibleError
from lakehouse.lake.schema.accepted import Accepted, Rest, note_accepted, read_accepted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CONTRACT_TYPES = {"int": "integer", "bigint": "long"}


def follow(
    spark: "SparkSession", contract: StreamContract, silver: str, wanted: dict[str, str], *, anew: bool = False
) -> None:
    """Bring the columns of an existing silver table up to the contract and note the schema as accepted.

    Args:
        spark: The session.
        contract: The stream.
        silver: The table's path.
        wanted: Columns of the table with their Spark types.
        anew: All its rows are to be made anew, whatever has changed.

    Raises:
        SchemaIncompatibleError: naming each field and the rule that it breaks.
    """
    shape = schema_of(contract)
    accepted = read_accepted(silver)
    if accepted is not None and accepted.shape == shape:
        return
    held = {name: kind.lower() for name, kind in spark.read.format("delta").load(silver).dtypes}
    before = accepted or Accepted(version=0, shape=_shape_of_columns(shape, held))
    problems = refused(before.shape, shape, contract.evolve) + _returning(before, shape, held, wanted)
    if problems:
        raise _incompatible(contract, problems)
    added = ", ".join(f"`{name}` {kind}" for name, kind in wanted.items() if name not in held)
    if added:
        spark.sql(f"ALTER TABLE delta.`{silver}` ADD COLUMNS ({added})").collect()
    for name, kind in wanted.items():
        if name in held and held[name] != kind:
            spark.sql(f"ALTER TABLE delta.`{silver}` SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')").collect()
            spark.sql(f"ALTER TABLE delta.`{silver}` ALTER COLUMN `{name}` TYPE {kind}").collect()
    crash_point("evolve_after_columns")
    accepted = _next(before, shape)
    note_accepted(spark, silver, accepted.model_copy(update={"rest": Rest(everything=True)}) if anew else accepted)


def _shape_of_columns(shape: Schema, held: dict[str, str]) -> Schema:
    """What a table that was never told its schema must have been made by: today's fields as far as it has them."""
    fields = [
        field.model_copy(update={"type": _CONTRACT_TYPES.get(held[field.name], held[field.name])})
        for field in shape.fields
        if field.name in held
    ]
    known = {"event_date", *(field.name for field in fields)}
    gone = [
        SchemaField(name=name, type=kind, nullable=True, keys=(name,))
        for name, kind in held.items()
        if name not in known and not name.startswith("_") and shape.field(name) is None
    ]
    return shape.model_copy(update={"fields": (*fields, *gone)})


def _returning(before: Accepted, shape: Schema, held: dict[str, str], wanted: dict[str, str]) -> list[Change]:
    """A field that comes back after it was dropped meets its old column; that must be of its type, or narrower."""
    # A table that was made anew has no column of what was retired before.
    there = [name for name in before.retired if name in held]
    old = [SchemaField(name=n, type=_CONTRACT_TYPES.get(held[n], held[n]), nullable=True) for n in there]
    again = [field.name for field in shape.fields if field.name in there and held[field.name] != wanted[field.name]]
    known = Schema(fields=tuple(f for f in old if f.name in again), key=shape.key, event_time=shape.event_time)
    new = known.model_copy(update={"fields": tuple(f for f in shape.fields if f.name in again)})
    return [change for change in changes(known, new) if change.kind == "type"]


def _next(before: Accepted, shape: Schema) -> Accepted:
    found = changes(before.shape, shape)
    fill = {change.field: change.former for change in found if change.kind == "rename"}
    gone = {change.field for change in found if change.kind == "drop"} | set(fill.values())
    retired = {**before.retired, **{f.name: f.keys for f in before.shape.fields if f.name in gone}}
    returned = [name for name in retired if shape.field(name) is not None]
    widened = [
        (before.shape.field(change.field), shape.field(change.field)) for change in found if change.kind == "widen"
    ]
    rounded = any(old and new and has_more_decimals(old.type, new.type) for old, new in widened)
    added = [field for change in found if change.kind == "add" and (field := shape.field(change.field))]
    # Derived from fields that older rows have; or read under a key of a retired column, whose values were not kept.
    unkept = {key for keys in retired.values() for key in keys}
    is_of_old_rows = any(not field.keys or unkept & set(field.keys) for field in added)
    rest = Rest(
        fill={**before.rest.fill, **fill},
        keys=tuple(sorted({*before.rest.keys, *(shape.keys - before.shape.keys)})),
        # While a column was retired, its values were not kept anywhere but in bronze.
        everything=before.rest.everything
        or bool(returned)
        or rounded
        or is_of_old_rows
        or _is_reordered(before, shape),
    )
    kept = {name: keys for name, keys in retired.items() if name not in returned}
    return Accepted(version=before.version + 1, shape=shape, retired=kept, rest=rest)


def _is_reordered(before: Accepted, shape: Schema) -> bool:
    """Whether some field prefers another of the keys that it had: an event that has both means another value now."""
    both = ((old.keys, field.keys) for field in shape.fields if (old := before.shape.field(field.name)) is not None)
    return any([key for key in now if key in then] != [key for key in then if key in now] for then, now in both)


def _incompatible(contract: StreamContract, problems: list[Change]) -> SchemaIncompatibleError:
    return SchemaIncompatibleError(
        f"Silver of stream {contract.name} cannot follow its contract: {'; '.join(map(str, problems))}.",
        why="Rows and events that are there were written by the version before, and gold reads them.",
        fix="Undo the change, or see docs/runbooks/SCHEMA_INCOMPATIBLE.md.",
    )
