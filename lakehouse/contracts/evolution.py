"""May a contract follow another one? What changed between two versions, and by which rule a change is refused.

Here: a pure comparison of what two versions promise about the shape of rows. Not here: what the lake accepted last
(`lake.schema.accepted`), bringing tables up to a new version (`lake.schema.evolve`).
"""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Evolution, FieldSpec

Kind = Literal["add", "widen", "rename", "drop", "type", "require", "relax", "read", "identity"]
_DECIMAL = re.compile(r"^decimal\((\d+),(\d+)\)$")
# What every value of the first type can become without loss, and what Delta widens in place.
_WIDER = {("integer", "long"), ("integer", "double")}


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SchemaField(_Frozen):
    """The part of a field that old and new rows must agree on. `keys`: where events carry it; none when derived.

    `pii` says nothing about rows, but whoever reads them further on must know.
    """

    name: str
    type: str
    nullable: bool
    keys: tuple[str, ...] = ()
    pii: bool = False


class Schema(_Frozen):
    """The shape that a contract promises: fields, identity, partitions, and how rows of one key come together."""

    fields: tuple[SchemaField, ...]
    key: tuple[str, ...]
    event_time: str
    partition_by: tuple[str, ...] = ()
    mode: str = "upsert"

    def field(self, name: str) -> SchemaField | None:
        """The field of that name, if there is one."""
        return next((field for field in self.fields if field.name == name), None)

    @property
    def keys(self) -> set[str]:
        """Every key of an event that some field reads."""
        return {key for field in self.fields for key in field.keys}


class Change(_Frozen):
    """One difference. `breaks` names the rule by which it is never compatible; empty: it is, if the mode allows it."""

    kind: Kind
    field: str
    text: str
    breaks: str = ""
    former: str = ""

    def __str__(self) -> str:
        return f"{self.text} (field {self.field}, rule {self.breaks or f'evolve.{self.kind}'})"


class Compatibility(_Frozen):
    """The verdict; true when rows and events of the old version can be read by the new one."""

    problems: tuple[Change, ...]

    def __bool__(self) -> bool:
        return not self.problems


def schema_of(contract: StreamContract) -> Schema:
    """The shape that this contract promises."""
    return Schema(
        fields=tuple(_schema_field(field) for field in contract.fields),
        key=tuple(contract.key),
        event_time=contract.event_time,
        partition_by=tuple(contract.partition_by),
        mode=contract.mode,
    )


def is_backward_compatible(old: Schema, new: Schema) -> Compatibility:
    """Can the new version read everything that was written by the old one?

    Every event that the old version accepts is readable by the new one, and every value of a field that both have is
    the same. A field may be added when events need not have it, widened, renamed when the new one names the old among
    its `aliases`, dropped, and made nullable.

    Returns:
        A verdict that is true or false, with one problem for each rule that a field breaks.
    """
    return Compatibility(problems=tuple(change for change in changes(old, new) if change.breaks))


def refused(old: Schema, new: Schema, evolve: Evolution) -> list[Change]:
    """What keeps a lake of the old version from following the new one: broken rules, and modes that say stop."""
    stops = {kind for kind in ("add", "widen", "rename", "drop") if getattr(evolve, kind) == "stop"}
    return [change for change in changes(old, new) if change.breaks or change.kind in stops]


def changes(old: Schema, new: Schema) -> list[Change]:
    """Every difference that matters to rows which are there, in the order of the new version's fields."""
    found = list(_identity(old, new))
    renamed = _renames(old, new)
    for field in new.fields:
        before = old.field(field.name)
        if before is not None:
            found += _of_field(before, field)
        elif field.name in renamed:
            former = renamed[field.name]
            text = f"{former.name} is now called {field.name}"
            found.append(Change(kind="rename", field=field.name, text=text, former=former.name))
            # That it is read by its new name too is part of the renaming.
            found += [change for change in _of_field(former, field) if change.kind != "read" or change.breaks]
        else:
            needed = bool(field.keys) and not field.nullable
            text = f"{field.name} is new{' and required, which events sent so far lack' if needed else ''}"
            breaks = "added_field_must_be_nullable" if needed else ""
            found.append(Change(kind="add", field=field.name, text=text, breaks=breaks))
    former_names = {field.name for field in renamed.values()}
    found += [
        Change(kind="drop", field=field.name, text=f"{field.name} is gone")
        for field in old.fields
        if new.field(field.name) is None and field.name not in former_names
    ]
    return found


def is_wider(old: str, new: str) -> bool:
    """Whether every value of the old type is a value of the new one, exactly (contract types)."""
    if (old, new) in _WIDER:
        return True
    before, after = _DECIMAL.match(old), _DECIMAL.match(new)
    if before is None or after is None or old == new:
        return False
    whole = int(after[1]) - int(after[2]) >= int(before[1]) - int(before[2])
    return whole and int(after[2]) >= int(before[2])


def has_more_decimals(old: str, new: str) -> bool:
    """Whether values that were rounded to the old type may have more digits in the new one."""
    before, after = _DECIMAL.match(old), _DECIMAL.match(new)
    return bool(before and after and int(after[2]) > int(before[2]))


def _schema_field(field: FieldSpec) -> SchemaField:
    keys = () if field.derive is not None else tuple(field.keys)
    return SchemaField(
        name=field.name,
        type=field.type,
        nullable=field.nullable,
        keys=keys,
        pii=field.pii,
    )


def _identity(old: Schema, new: Schema) -> list[Change]:
    """What decides where a row lies, and which row of a key wins; rows that are there lie and won by the old ones."""
    found = []
    for label, rule in (
        ("key", "key_is_fixed"),
        ("event_time", "event_time_is_fixed"),
        ("partition_by", "partitions_are_fixed"),
        ("mode", "mode_is_fixed"),
    ):
        before, after = getattr(old, label), getattr(new, label)
        if before != after:
            name = label if label in ("partition_by", "mode") else _listed(before)
            text = f"{label} changes from {_listed(before) or 'none'} to {_listed(after) or 'none'}"
            found.append(Change(kind="identity", field=name, text=text, breaks=rule))
    return found


def _listed(names: "str | tuple[str, ...]") -> str:
    return names if isinstance(names, str) else ", ".join(names)


def _renames(old: Schema, new: Schema) -> dict[str, SchemaField]:
    """New name → the old field whose column it continues: the one that it reads under its former name."""
    gone = [field for field in old.fields if new.field(field.name) is None]
    renamed: dict[str, SchemaField] = {}
    for field in new.fields:
        if old.field(field.name) is None:
            heir = next((g for g in gone if g.name in field.keys or set(g.keys) & set(field.keys)), None)
            if heir is not None and heir.keys and heir not in renamed.values():
                renamed[field.name] = heir
    return renamed


def _of_field(old: SchemaField, new: SchemaField) -> list[Change]:
    found = []
    name = new.name
    if old.type != new.type:
        text = f"{name} changes from {old.type} to {new.type}"
        if is_wider(old.type, new.type):
            found.append(Change(kind="widen", field=name, text=text))
        else:
            found.append(Change(kind="type", field=name, text=text, breaks="type_may_only_widen"))
    if old.nullable and not new.nullable:
        text = f"{name} is required now, and events sent so far may lack it"
        found.append(Change(kind="require", field=name, text=text, breaks="nullable_field_stays_nullable"))
    if new.nullable and not old.nullable:
        found.append(Change(kind="relax", field=name, text=f"{name} may be missing now"))
    if old.keys != new.keys:
        lost = [key for key in old.keys if key not in new.keys]
        if lost:
            text = f"{name} is no longer read from {', '.join(lost)}, where events sent so far have it"
            found.append(Change(kind="read", field=name, text=text, breaks="former_key_stays_readable"))
        else:
            found.append(Change(kind="read", field=name, text=f"{name} is read from {', '.join(new.keys)}"))
    return found
