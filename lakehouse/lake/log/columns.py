"""Columns and their types as Delta's log writes them (Delta protocol, "Schema Serialization Format").

Here: Spark's names of types → the log's. Not here: which columns a table has (`lake.schema.tables`).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_SAME = {"string", "float", "double", "boolean", "binary", "date", "timestamp"}
_NAMES = {"int": "integer", "bigint": "long", "smallint": "short", "tinyint": "byte"} | {name: name for name in _SAME}
# In names of columns Delta takes these only with a table feature.
_REFUSED = set(" ,;{}()\n\t=")
_DECIMAL = re.compile(r"decimal\(\d+,\d+\)")


def columns_of(ddl: str) -> dict[str, str]:
    """Column types of a DDL text, as Spark prints them: without spaces after a colon or comma inside a type."""
    pairs = [column.split(" ", 1) for column in _parts(ddl)]
    return {name: kind.replace(": ", ":").replace(", ", ",") for name, kind in pairs}


def log_schema(columns: Mapping[str, str]) -> dict[str, Any] | None:
    """The log's schema of these columns, all of them nullable; None when a type or a name needs a table feature.

    Args:
        columns: Names and types, these as Spark prints them.
    """
    types = {name: _type(kind) for name, kind in columns.items()}
    if None in types.values() or any(_REFUSED & set(name) for name in columns):
        return None
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in types.items()]
    return {"type": "struct", "fields": fields}


def _type(kind: str) -> Any:
    if kind in _NAMES:
        return _NAMES[kind]
    if _DECIMAL.fullmatch(kind):
        return kind
    outer, _, inner = kind.removesuffix(">").partition("<")
    if outer == "array" and (element := _type(inner)) is not None:
        return {"type": "array", "elementType": element, "containsNull": True}
    if outer == "struct":
        return log_schema(dict(part.split(":", 1) for part in _parts(inner)))
    return None


def _parts(text: str) -> Iterator[str]:
    """What commas separate, those within brackets left out."""
    depth, part = 0, ""
    for letter in f"{text},":
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            yield part.strip()
            part = ""
        else:
            part += letter
