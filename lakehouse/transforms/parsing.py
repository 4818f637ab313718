"""A record's text as Spark SQL parses it: plain ones by a parser of ours, others by `from_json` and a closer look.

Here: text → SQL text. Not here: which columns are made of it (`transforms.fields`), the steps (`transforms.events`).
"""

import re
from collections.abc import Iterable

from lakehouse.contracts.parts import FieldSpec
from lakehouse.engine.java_archive import FLAT_JSON
from lakehouse.quality.rules import MALFORMED, quote
from lakehouse.transforms.fields import bound, is_short_decimal, mistyped, row_of, tick, types_of_keys, unparsed

# A number in JSON may have an exponent of any length. Where Spark parses a decimal it makes all the digits before it
# sees that they do not fit, which takes minutes of a processor for ten characters. So short ones are read as texts, of
# which a cast sees it at once; of others all of the text is looked at first, for a text of a number has but the digits
# of a double.
_LONG_EXPONENT = r"""[:,\[][ \t\r\n]*+(-?[0-9.]++[eE][+]?[0-9]{4}|"-?[0-9.,]++[eE][+]?[0-9]{4,}")"""


def flat(fields: list[FieldSpec], *, is_there: bool) -> str:
    """SQL for the parsed event of a plain record, null for every other one; see `engine.java_archive`.

    Args:
        fields: Those that are read from the record.
        is_there: Whether the session has the parser; without it no record is plain.
    """
    columns = ", ".join(f"{tick(key)}: {kind}" for key, kind in types_of_keys(fields).items())
    nothing = f"cast(NULL AS struct<{columns}>)"
    return f"{FLAT_JSON}(_text, {nothing})" if is_there else nothing


def closer_look(fields: list[FieldSpec], *, unreadable: str, rescued: str) -> str:
    """SQL for what is known of a record that is not plain, or has a value that its `parse` refuses; else null.

    A struct of `row`, the fields' values; `mistyped`, the names of those whose text is there and no value of the type;
    `rescued` and `unreadable`, given as SQL that may use `_event`, as `from_json` parses it, and `_keys`. All in one
    expression: Spark compiles no code for most of this, and copies each row for each such step.
    """
    found = {"row": "_row", "mistyped": mistyped(fields, "_row", "_raw"), "rescued": rescued, "unreadable": unreadable}
    look = f"named_struct({', '.join(f'{quote(name)}, {sql}' for name, sql in found.items())})"
    look = bound("_raw", _raw_texts(fields), bound("_row", row_of(fields, "_event", "_raw"), look))
    look = bound("_event", from_json("_text", fields), bound("_keys", "json_object_keys(_text)", look))
    refused = unparsed([field for field in fields if field.parse is not None], "_flat")
    return f"CASE WHEN {' OR '.join(['_flat IS NULL', *refused])} THEN {look} END"


def from_json(text: str, fields: list[FieldSpec]) -> str:
    """SQL that parses `text` into a struct of the fields' keys, with `_corrupt` where one of them did not fit."""
    # A bare NaN is no JSON, nor are texts in single quotes.
    options = (
        "map('mode', 'PERMISSIVE', 'columnNameOfCorruptRecord', '_corrupt', "
        "'allowNonNumericNumbers', 'false', 'allowSingleQuotes', 'false')"
    )
    types = types_of_keys(fields)
    read_as = {key: "string" if is_short_decimal(kind) else kind for key, kind in types.items()}
    schema = ", ".join(f"{tick(key)} {kind}" for key, kind in {**read_as, "_corrupt": "string"}.items())
    parsed = f"from_json({text}, {quote(schema)}, {options})"
    if any(kind.startswith("decimal") for kind in read_as.values()):
        return f"CASE WHEN NOT {text} RLIKE {quote(_LONG_EXPONENT)} THEN {parsed} END"
    return parsed


def malformed(*, is_text: bool) -> str:
    """SQL for the reason why a text is no event, an empty one when it is; within `closer_look`.

    Args:
        is_text: Whether the text is what was sent; else something was made into JSON.
    """
    # Of a field that is there twice, a value that fits would hide that the last one does not.
    is_ambiguous = f"{_as_texts('_text')} IS NULL OR size(_keys) > size(array_distinct(_keys))"
    broken = f"_keys IS NULL OR _event IS NULL OR _event._corrupt IS NOT NULL AND ({is_ambiguous})"
    if is_text:
        broken += f" OR {followed('_text')}"
    return f"CASE WHEN {broken} THEN '{MALFORMED}' ELSE '' END"


def rescued(fields: list[FieldSpec], ignored: Iterable[str], *, added: str = "") -> str:
    """SQL for the keys that the contract does not know, as JSON; what begins with `added` is no part of the row."""
    names = sorted({*ignored, *(key for field in fields for key in field.keys)})
    known = f"array({', '.join(map(quote, names))})"
    keys = f"filter(_keys, k -> NOT startswith(k, {quote(added)}))" if added else "_keys"
    unknown = f"NOT array_contains({known}, k)" + (f" AND NOT startswith(k, {quote(added)})" if added else "")
    return (
        f"CASE WHEN size(array_except({keys}, {known})) > 0 "
        f"THEN to_json(map_filter({_as_texts('_text')}, (k, v) -> {unknown})) END"
    )


def _raw_texts(fields: list[FieldSpec]) -> str:
    """SQL for a map of all that an object has, as texts, where a field did not parse or a time may lack its date."""
    from_text = [field for field in fields if field.parse is not None or is_short_decimal(field.type)]
    times = [key for key, kind in types_of_keys(fields).items() if kind == "timestamp"]
    undated = [_may_lack_date(times)] if times else []
    doubtful = ["_event._corrupt IS NOT NULL", *unparsed(from_text, "_event"), *undated]
    return f"CASE WHEN {' OR '.join(doubtful)} THEN {_as_texts('_text')} END"


def _may_lack_date(keys: list[str]) -> str:
    """SQL: a time may be a number, or a text without a dash before its colons. With escapes it may be anything.

    Spark takes the date that such a text lacks from the clock.
    """
    names = "|".join(map(re.escape, keys))
    without = rf""""({names})"[ \t\r\n]*:[ \t\r\n]*(-?[0-9]|"[^"-]*[":])"""
    return f"(contains(_text, {quote(chr(92))}) OR _text RLIKE {quote(without)})"


def _as_texts(text: str) -> str:
    """SQL for a map of what an object has, all as texts; null for what is no object."""
    return f"from_json({text}, 'map<string,string>', map('allowSingleQuotes', 'false'))"


def followed(text: str) -> str:
    """SQL: more than white space stands behind the object that `text` begins with. Spark's parser passes over it.

    In an array the object would have a neighbour then, or be none. Nobody need look where the only brace that closes
    is the last byte.
    """
    octets = f"cast({text} AS binary)"
    closes_before = f"contains(substring({octets}, 1, octet_length({text}) - 1), X'7D')"
    is_alone = f"coalesce(json_array_length(concat('[', {text}, ']')) = 1, false)"
    return f"((NOT endswith({text}, '}}') OR {closes_before}) AND NOT {is_alone})"
