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


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    # Written as it is read, so that a contract survives the way through JSON.
    PlainSerializer(lambda value: f"{int(value.total_seconds())}s", return_type=str),
]
FieldType = Annotated[str, AfterValidator(_known_type)]
Name = Annotated[str, Field(pattern=NAME)]


class Strict(BaseModel):
    """A part of a contract: unknown keys are refused, nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
