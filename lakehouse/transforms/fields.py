"""A contract's fields as Spark SQL over a parsed record: schema, values, what did not parse, what is unknown.

Here: text → SQL text. Not here: the steps that use it (`transforms.events`).
"""

import re
from collections.abc import Iterable

from lakehouse.contracts.parts import FieldSpec
from lakehouse.quality.rules import quote

SPARK_TYPES = {"integer": "int", "long": "bigint"}
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)$")
_PLAIN_KEY = re.compile(r"\w+")
# A control character, which JSON has only escaped.
_LAST = "'\\u0001'"
# A number in JSON may have an exponent of any length. Where Spark parses a decimal it makes all the digits before it
# sees that they do not fit, which takes minutes of a processor for ten characters. So decimals are parsed as doubles
# as far as a double has their digits; of longer ones the text is looked at first, which takes a fifth of a record.
_DIGITS_OF_A_DOUBLE = 15
_LONG_EXPONENT = r"""[:,\[][ \t\r\n]*+(-?[0-9.]++[eE][+]?[0-9]{4}|"-?[0-9.,]++[eE][+]?[0-9]{4,}")"""


def spark_type(field: FieldSpec) -> str:
    """The field's type in Spark SQL."""
    return SPARK_TYPES.get(field.type, field.type)


def as_texts(text: str) -> str:
    """SQL for a map of what an object has, all as texts; null for what is no object."""
    return f"from_json({text}, 'map<string,string>', map('allowSingleQuotes', 'false'))"


def from_json(text: str, fields: list[FieldSpec]) -> str:
    """SQL that parses `text` into a struct of the fields' keys, with `_corrupt` where one of them did not fit."""
    # A bare NaN is no JSON, nor are texts in single quotes; where it was taken for a number, or a text, `only_known`
    # would be wrong about it.
    options = (
        "map('mode', 'PERMISSIVE', 'columnNameOfCorruptRecord', '_corrupt', "
        "'allowNonNumericNumbers', 'false', 'allowSingleQuotes', 'false')"
    )
    parsed = f"from_json({text}, {quote(_parse_schema(fields))}, {options})"
    if any(kind.startswith("decimal") for kind in _types(fields).values()):
        return f"CASE WHEN NOT {text} RLIKE {quote(_LONG_EXPONENT)} THEN {parsed} END"
    return parsed


def followed(text: str) -> str:
    """SQL: more than white space stands behind the object that `text` begins with. Spark's parser passes over it.

    In an array the object would have a neighbour then, or be none. Nobody need look where the only brace that closes
    is the last byte.
    """
    octets = f"cast({text} AS binary)"
    closes_before = f"contains(substring({octets}, 1, octet_length({text}) - 1), X'7D')"
    is_alone = f"coalesce(json_array_length(concat('[', {text}, ']')) = 1, false)"
    return f"((NOT endswith({text}, '}}') OR {closes_before}) AND NOT {is_alone})"


def only_known(own: list[FieldSpec]) -> str:
    """SQL: the text is an object whose keys are all known, which a comma for each of them but one proves.

    When it does not hold there may be others: a text may have commas, too. To ask for the keys is to parse the text a
    second time, which costs two thirds of the first.

    What parsed as the known fields is an object, has a key for each value that came out, and a comma between any two.
    Where a value is missing, its key may be there with a null: it is, when the text has it in quotes before a colon and
    has neither a backslash, which may make these quotes a part of a text, nor a second object, whose key it may be, nor
    anything behind the object, which Spark passes over.

    `find_in_set` says the place of a text between commas: of one that is put behind the others, how many there are.
    Spark has no faster way to count; `split` makes all the texts. This one stands nowhere before: what parsed as an
    object has no control character in it.
    """
    came_out = {key: f"_event.{_tick(key)} IS NOT NULL" for key in _types(own)}
    named = {key: f"contains(_text, '\"{key}\":')" for key in came_out if _PLAIN_KEY.fullmatch(key)}
    parsed = _how_many(came_out.values())
    said = _how_many(f"{here} OR {named.get(key, 'false')}" for key, here in came_out.items())
    parts = f"find_in_set({_LAST}, concat(_text, ',', {_LAST})) - 1"
    return (
        f"_event._corrupt IS NULL AND ({parts} <= {parsed} OR "
        f"{parts} <= {said} AND NOT contains(_text, {quote(chr(92))}) AND locate('{{', _text, 2) = 0 "
        "AND locate('}', _text) = length(_text))"
    )


def _how_many(conditions: Iterable[str]) -> str:
    """SQL: the number of those that hold."""
    return " + ".join(f"int({condition})" for condition in conditions)


def raw_texts(own: list[FieldSpec]) -> str:
    """SQL for the raw texts, needed only where some field did not parse; everywhere else this branch costs nothing."""
    return f"CASE WHEN _event._corrupt IS NOT NULL OR {_has_unparsed(own)} THEN {as_texts('_text')} END"


def rescued(own: list[FieldSpec], ignored: Iterable[str], *, added: str = "") -> str:
    """SQL for the keys that the contract does not know, as JSON; what begins with `added` is no part of the row."""
    in_order = ", ".join(quote(key) for key in dict.fromkeys(field.key for field in own))
    names = sorted({*ignored, *(key for field in own for key in field.keys)})
    known = f"array({', '.join(map(quote, names))})"
    keys = f"filter(_keys, k -> NOT startswith(k, {quote(added)}))" if added else "_keys"
    unknown = f"NOT array_contains({known}, k)" + (f" AND NOT startswith(k, {quote(added)})" if added else "")
    return (
        f"CASE WHEN size(_keys) <= 0 OR _keys = array({in_order}) OR size(array_except({keys}, {known})) <= 0 "
        f"THEN NULL ELSE to_json(map_filter({as_texts('_text')}, (k, v) -> {unknown})) END"
    )


def _has_unparsed(own: list[FieldSpec]) -> str:
    """SQL: some field may have come out null although its text is there."""
    parts = [
        f"({_text(field)} IS NOT NULL AND {_parse_expression(field)} IS NULL)"
        for field in own
        if field.parse is not None
    ]
    # Near the largest number that fits; beyond it nothing does.
    parts += [
        f"abs(try_cast(_event.{_tick(key)} AS double)) >= {10 ** (digits[0] - digits[1]) - 1}"
        for field in own
        if (digits := _digits_by_double(field)) is not None
        for key in field.keys
    ]
    return " OR ".join(parts) or "false"


def _parse_schema(own: list[FieldSpec]) -> str:
    """DDL of the event."""
    columns = ", ".join(f"{_tick(key)} {kind}" for key, kind in _types(own).items())
    return f"{columns}, `_corrupt` string"


def _types(own: list[FieldSpec]) -> dict[str, str]:
    """The type that each key is parsed as: one that several fields read, or that has a `parse`, is read as text."""
    types: dict[str, str] = {}
    for field in own:
        for key in field.keys:
            is_text = field.parse is not None or key in types
            number = "double" if _digits_by_double(field) is not None else spark_type(field)
            types[key] = "string" if is_text else number
    return types


def field_expression(field: FieldSpec) -> str:
    """SQL for the field's column out of the struct `_event`."""
    if field.parse is not None:
        return f"{_parse_expression(field)} AS `{field.name}`"
    if _digits_by_double(field) is not None:
        return f"{_first_of([_by_double(key, spark_type(field)) for key in field.keys])} AS `{field.name}`"
    casts = [f"cast(_event.{_tick(key)} AS {spark_type(field)})" for key in field.keys]
    return f"{_first_of(casts)} AS `{field.name}`"


def key_expression(field: FieldSpec) -> str:
    """As `field_expression`; where the record has no row it is taken from the record's key, parsed as `_key_event`."""
    kind = spark_type(field)
    if field.parse is not None:
        own, other = _parse_expression(field), _parse_expression(field, "_key_event")
    else:
        own, other = (f"cast({_text(field, event)} AS {kind})" for event in ("_event", "_key_event"))
    return f"coalesce({own}, {other}) AS `{field.name}`"


def _parse_expression(field: FieldSpec, event: str = "_event") -> str:
    """The field's own expression with the raw text bound to `value`."""
    bound = f"element_at(transform(array({_text(field, event)}), value -> {field.parse}), 1)"
    return f"try_cast({bound} AS {spark_type(field)})"


def _by_double(key: str, kind: str) -> str:
    """SQL for a decimal that was parsed as a double; one that is a text in JSON has made the event a corrupt one."""
    parsed, text = f"_event.{_tick(key)}", f"{as_texts('_text')}[{quote(key)}]"
    return (
        f"CASE WHEN {parsed} IS NOT NULL THEN try_cast({parsed} AS {kind}) "
        f"WHEN _event._corrupt IS NOT NULL THEN try_cast({text} AS {kind}) END"
    )


def _digits_by_double(field: FieldSpec) -> tuple[int, int] | None:
    """Precision and scale of a decimal whose digits a double has; None for whatever else is parsed."""
    if field.parse is not None or (match := _DECIMAL.match(field.type)) is None:
        return None
    precision, scale = int(match[1]), int(match[2])
    return (precision, scale) if precision <= _DIGITS_OF_A_DOUBLE else None


def _text(field: FieldSpec, event: str = "_event") -> str:
    """The raw text of a field with a `parse` expression, from the first of its keys that is there."""
    return _first_of([f"{event}.{_tick(key)}" for key in field.keys])


def _first_of(expressions: list[str]) -> str:
    return expressions[0] if len(expressions) == 1 else f"coalesce({', '.join(expressions)})"


def _tick(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
