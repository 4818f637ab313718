"""What one version of a contract may become: each rule by name, and the rules against a reader of single events."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.contracts.evolution import (
    Schema,
    SchemaField,
    changes,
    is_backward_compatible,
    is_wider,
    refused,
    schema_of,
)
from lakehouse.contracts.load import load_stream, parse_contract
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import Evolution, FieldSpec
from lakehouse.errors import ContractError
from lakehouse_tests.unit.contracts.test_load import GOOD, PATH

SALES = load_stream("sales")
ADDED = FieldSpec(name="coupon", type="string", nullable=True, description="Voucher.")


def with_fields(*changed: FieldSpec, without: str = "", **more: Any) -> StreamContract:
    """Sales with these fields in the place of those of the same name, or at the end."""
    new = {field.name: field for field in changed}
    kept = [new.pop(field.name, field) for field in SALES.fields if field.name != without]
    return SALES.model_copy(update={"fields": [*kept, *new.values()], **more})


def field(which: str, **changed: Any) -> FieldSpec:
    return SALES.field(which).model_copy(update=changed)


ALLOWED = {
    "add": with_fields(ADDED),
    "widen": with_fields(field("quantity", type="long")),
    "rename": with_fields(field("store_location", name="city", aliases=["store_location"]), without="store_location"),
    "drop": with_fields(without="store_location"),
    "relax": with_fields(field("store_location", nullable=True)),
    "read": with_fields(field("store_location", aliases=["city"])),
}
BROKEN = {
    "added_field_must_be_nullable": (with_fields(ADDED.model_copy(update={"nullable": False})), "coupon"),
    "type_may_only_widen": (with_fields(field("quantity", type="string")), "quantity"),
    "former_key_stays_readable": (with_fields(field("quantity", source="qty")), "quantity"),
    "key_is_fixed": (SALES.model_copy(update={"key": ["order_id", "product_id"]}), "order_id"),
    "partitions_are_fixed": (SALES.model_copy(update={"partition_by": []}), "partition_by"),
}


@pytest.mark.parametrize("kind", ALLOWED)
def test_an_allowed_change_has_its_kind_and_may_be_stopped_by_its_mode(kind: str) -> None:
    old, new = schema_of(SALES), schema_of(ALLOWED[kind])
    assert [change.kind for change in changes(old, new)] == [kind]
    assert is_backward_compatible(old, new)
    modes = {"rename": "alias"}
    assert refused(old, new, Evolution(**{kind: modes[kind]} if kind in modes else {})) == []
    if kind in Evolution.model_fields:
        (stopped,) = refused(old, new, Evolution(**{kind: "stop"}))
        assert f"evolve.{kind}" in str(stopped)


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_named_with_its_field_whatever_the_modes(rule: str) -> None:
    contract, name = BROKEN[rule]
    verdict = is_backward_compatible(schema_of(SALES), schema_of(contract))
    assert not verdict
    (problem,) = verdict.problems
    assert (problem.field, problem.breaks) == (name, rule)
    assert name in str(problem)
    assert rule in str(problem)


def test_a_nullable_field_stays_nullable() -> None:
    loose = schema_of(with_fields(ADDED))
    (problem,) = is_backward_compatible(loose, schema_of(BROKEN["added_field_must_be_nullable"][0])).problems
    assert problem.breaks == "nullable_field_stays_nullable"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{name: n, type: string, aliases: [amount], description: Text.}", "amount belongs to another field"),
        (
            "{name: n, type: string, aliases: [a], derive: 'id', description: Text.}",
            "neither source nor aliases nor parse",
        ),
    ],
)
def test_a_former_name_belongs_to_one_field(line: str, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        parse_contract(GOOD.replace("  rules:\n", f"    - {line}\n  rules:\n"), PATH)


# A model of reading: an event is a dictionary, a schema reads it or refuses it.
TYPES = ["string", "integer", "long", "double", "boolean", "decimal(4,1)", "decimal(6,2)", "decimal(6,3)"]
NAMES = ["a", "b", "c", "d"]


def fits(kind: str, value: Any) -> bool:
    if kind in ("integer", "long"):
        return type(value) is int and abs(value) < 2 ** (31 if kind == "integer" else 63)
    if kind.startswith("decimal"):
        digits, scale = (int(part) for part in kind[8:-1].split(","))
        return isinstance(value, Decimal) and abs(value) < 10 ** (digits - scale) and value == round(value, scale)
    if kind == "double":
        return type(value) is int and abs(value) < 2**31
    return type(value) is {"string": str, "boolean": bool}[kind]


def read(schema: Schema, event: dict[str, Any]) -> dict[str, Any] | None:
    """The row, or None when the event is rejected."""
    row = {}
    for spec in schema.fields:
        value = next((event[key] for key in spec.keys if key in event), None)
        if value is None and not spec.nullable:
            return None
        if value is not None and not fits(spec.type, value):
            return None
        row[spec.name] = value
    return row


VALUES = {
    "string": st.sampled_from(["", "x"]),
    "boolean": st.booleans(),
    "integer": st.sampled_from([0, 2**31 - 1, -5]),
    "long": st.sampled_from([0, 2**40]),
    "double": st.sampled_from([0, 7]),
    "decimal(4,1)": st.sampled_from([Decimal("999.9"), Decimal("0.1")]),
    "decimal(6,2)": st.sampled_from([Decimal("9999.99"), Decimal("0.01")]),
    "decimal(6,3)": st.sampled_from([Decimal("999.999"), Decimal("0.001")]),
}


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
    free = [name for name in NAMES if name not in names]
    fields = [SchemaField(name="id", type="long", nullable=False, keys=("id",))]
    for name in names:
        aliases = (free.pop(),) if free and draw(st.booleans()) else ()
        fields.append(
            SchemaField(
                name=name, type=draw(st.sampled_from(TYPES)), nullable=draw(st.booleans()), keys=(name, *aliases)
            )
        )
    return Schema(fields=tuple(fields), key=("id",), event_time="id")


@st.composite
def successors(draw: st.DrawFn, old: Schema) -> Schema:
    """The old schema with some of its fields changed, renamed or gone, and perhaps a new one."""
    fields = []
    for spec in old.fields:
        what = draw(st.sampled_from(["keep", "type", "nullable", "drop", "rename", "key"])) if spec.name != "id" else ""
        new = spec.model_dump()
        if what == "type":
            new["type"] = draw(st.sampled_from(TYPES))
        elif what == "nullable":
            new["nullable"] = draw(st.booleans())
        elif what == "rename":
            new |= {"name": f"{spec.name}_new", "keys": (f"{spec.name}_new", *spec.keys)}
        elif what == "key":
            new["keys"] = (f"{spec.name}_other",)
        if what != "drop":
            fields.append(SchemaField(**new))
    if draw(st.booleans()):
        fields.append(SchemaField(name="e", type="long", nullable=draw(st.booleans()), keys=("e",)))
    return old.model_copy(update={"fields": tuple(fields)})


@st.composite
def events_of(draw: st.DrawFn, schema: Schema) -> dict[str, Any]:
    """An event that the schema accepts, under any of its keys."""
    event: dict[str, Any] = {}
    for spec in schema.fields:
        if spec.nullable and draw(st.booleans()):
            continue
        event[draw(st.sampled_from(spec.keys))] = draw(VALUES[spec.type])
    return event


@given(st.data())
def test_what_the_old_version_accepted_reads_the_same_by_a_compatible_one(data: st.DataObject) -> None:
    old = data.draw(schemas())
    new = data.draw(successors(old))
    event = data.draw(events_of(old))
    before, after = read(old, event), read(new, event)
    assert before is not None
    if not is_backward_compatible(old, new):
        return
    assert after is not None
    assert {name: before[name] for name in before if name in after} == {
        name: after[name] for name in before if name in after
    }


@given(schemas())
def test_a_version_is_compatible_with_itself_and_differs_in_nothing(schema: Schema) -> None:
    assert changes(schema, schema) == []


@given(st.sampled_from(TYPES), st.sampled_from(TYPES), st.data())
def test_each_value_of_a_type_is_a_value_of_a_wider_one(old: str, new: str, data: st.DataObject) -> None:
    if is_wider(old, new):
        assert fits(new, data.draw(VALUES[old]))
        assert not is_wider(new, old)
