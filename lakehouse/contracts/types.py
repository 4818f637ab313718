"""Types that contracts are written in: names, durations, field types. Here: what a single value may be.

Not here: what is made of them (`contracts.parts`, `contracts.model`).
"""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

NAME = r"^[a-z][a-z0-9_]{0,62}$"
TOPIC_NAME = r"^[a-zA-Z0-9._-]{1,200}$"
SIMPLE_TYPES = ("string", "integer", "long", "double", "boolean", "date", "timestamp")
# Columns that stand beside the fields while a record is judged, or in silver itself.
RESERVED = ("event_date", "key", "value", "timestamp", "arrival_date")
# Words that DuckDB does not read as a table's name, without quotes or at all: `from select` is no question.
SQL_WORDS = frozenset({
    "all", "analyse", "analyze", "and", "anti", "any", "array", "as", "asc", "asof", "asymmetric", "at",
    "authorization", "binary", "both", "by", "case", "cast", "check", "collate", "collation", "column", "concurrently",
    "constraint", "create", "cross", "default", "deferrable", "desc", "describe", "distinct", "do", "else", "end",
    "except", "false", "fetch", "for", "foreign", "freeze", "from", "full", "glob", "group", "having", "ilike", "in",
    "initially", "inner", "intersect", "into", "is", "isnull", "join", "lambda", "lateral", "leading", "left", "like",
    "limit", "natural", "not", "notnull", "null", "offset", "on", "only", "or", "order", "outer", "overlaps", "pivot",
    "pivot_longer", "pivot_wider", "placing", "positional", "primary", "qualify", "references", "returning", "right",
    "select", "semi", "show", "similar", "some", "summarize", "symmetric", "table", "tablesample", "then", "to",
    "trailing", "true", "union", "unique", "unpack", "unpivot", "using", "variadic", "verbose", "when", "where",
    "window", "with",
})  # fmt: skip
_DECIMAL = re.compile(r"^decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)$")
_DURATION = re.compile(r"^(\d+)\s*(s|m|h|d)$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(value: object) -> timedelta:
    """Turn `10m`, `7d`, `90s`, `2h` into a timedelta.

    Raises:
        ValueError: when the text has another form.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(str(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is no duration; write a whole number and s, m, h or d, for example 10m or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _known_type(value: str) -> str:
    text = value.strip().lower()
    match = _DECIMAL.match(text)
    if match:
        precision, scale = int(match[1]), int(match[2])
        if not (1 <= precision <= 38 and scale <= precision):
            raise ValueError(f"{value!r}: a decimal has 1 to 38 digits and no more decimals than digits")
        return f"decimal({precision},{scale})"
    if text not in SIMPLE_TYPES:
        raise ValueError(f"{value!r} is no field type; allowed: {', '.join(SIMPLE_TYPES)}, decimal(p,s)")
    return text


def _no_sql_word(name: str) -> str:
    if name in SQL_WORDS:
        raise ValueError(f"{name} is a word of SQL, so `from {name}` would be an error; choose another name")
    return name


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    # Written as it is read, so that a contract survives the way through JSON.
    PlainSerializer(lambda value: f"{int(value.total_seconds())}s", return_type=str),
]
FieldType = Annotated[str, AfterValidator(_known_type)]
Name = Annotated[str, Field(pattern=NAME)]
# Of a stream or pipeline: `lakehouse sql` has a table or schema of this name, which people write as it is.
SqlName = Annotated[Name, AfterValidator(_no_sql_word)]


class Strict(BaseModel):
    """A part of a contract: unknown keys are refused, nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
