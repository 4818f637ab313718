"""A contract's fields as Spark SQL: the types that keys are parsed as, and columns out of a parsed record.

Here: text → SQL text. Not here: parsing (`transforms.parsing`), the steps that use it (`transforms.events`).
"""

import re

from lakehouse.contracts.parts import FieldSpec
from lakehouse.quality.rules import quote
from lakehouse.transforms.encodings import has_date

SPARK_TYPES = {"integer": "int", "long": "bigint"}

_DECIMAL = re.compile(r"decimal\((\d+),\d+\)$")
_DIGITS_OF_A_DOUBLE = 15


def spark_type(field: FieldSpec) -> str:
    """The field's type in Spark SQL."""
    return SPARK_TYPES.get(field.type, field.type)


def types_of_keys(fields: list[FieldSpec]) -> dict[str, str]:
    """The type that each key is parsed as: one that several fields read, or that has a `parse`, is read as text."""
    types: dict[str, str] = {}
    for field in fields:
        for key in field.keys:
            is_text = field.parse is not None or key in types
            types[key] = "string" if is_text else spark_type(field)
    return types


def is_short_decimal(kind: str) -> bool:
    """Whether it is a decimal of no more digits than a double has."""
    match = _DECIMAL.match(kind)
    return match is not None and int(match[1]) <= _DIGITS_OF_A_DOUBLE


def field_expression(field: FieldSpec) -> str:
    """SQL for the field's column: of a plain record out of `_flat`, else what the closer look at it has found."""
    return f"{_own(field)} AS `{field.name}`"


def key_expression(field: FieldSpec) -> str:
    """As `field_expression`; where the record has no row it is taken from the record's key, parsed as `_key_event`."""
    return f"coalesce({_own(field)}, {_value(field, '_key_event')}) AS `{field.name}`"


def row_of(fields: list[FieldSpec], event: str, texts: str) -> str:
    """SQL for a struct of the fields' values in an event that may have anything in it.

    Args:
        fields: The fields.
        event: The parsed event.
        texts: A map of all that it has; null where every time is known to have its date.
    """
    values = ", ".join(f"{quote(field.name)}, {_dated_value(field, event, texts)}" for field in fields)
    return f"named_struct({values})"


def mistyped(fields: list[FieldSpec], row: str, texts: str) -> str:
    """SQL for the names, with commas between, of fields whose text is there and no value of the type; null if none."""
    cases = []
    for field in fields:
        if field.type != "string":
            text = _first_of([f"{texts}[{quote(key)}]" for key in field.keys])
            is_lost = f"{row}.{tick(field.name)} IS NULL AND {text} IS NOT NULL"
            cases.append(f"CASE WHEN {is_lost} THEN {quote(field.name)} END")
    return f"nullif(concat_ws(',', {', '.join(cases) or 'NULL'}), '')"


def unparsed(fields: list[FieldSpec], event: str) -> list[str]:
    """SQL conditions, one for each field: what the event has for it is no value of its type."""
    return [f"({_text(field, event)} IS NOT NULL AND {_value(field, event)} IS NULL)" for field in fields]


def bound(name: str, value: str, body: str) -> str:
    """SQL for `body` with a name in it for `value`, which is computed once."""
    return f"element_at(transform(array({value}), {name} -> {body}), 1)"


def tick(name: str) -> str:
    """A name in SQL, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


def _own(field: FieldSpec) -> str:
    return f"CASE WHEN _look IS NULL THEN {_value(field, '_flat')} ELSE _look.row.{tick(field.name)} END"


def _dated_value(field: FieldSpec, event: str, texts: str) -> str:
    if field.type != "timestamp" or field.parse is not None:
        return _value(field, event)
    parts = [(f"{event}.{tick(key)}", f"{texts} IS NULL OR {has_date(f'{texts}[{quote(key)}]')}") for key in field.keys]
    return f"cast({_first_of([f'CASE WHEN {is_dated} THEN {value} END' for value, is_dated in parts])} AS timestamp)"


def _value(field: FieldSpec, event: str) -> str:
    """The field's value in a parsed event; its own `parse` expression has the raw text as `value`."""
    text, kind = _text(field, event), spark_type(field)
    return (
        f"cast({text} AS {kind})" if field.parse is None else f"try_cast({bound('value', text, field.parse)} AS {kind})"
    )


def _text(field: FieldSpec, event: str) -> str:
    """What the event has under the first of the field's keys that is there."""
    return _first_of([f"{event}.{tick(key)}" for key in field.keys])


def _first_of(expressions: list[str]) -> str:
    return expressions[0] if len(expressions) == 1 else f"coalesce({', '.join(expressions)})"
