"""Guesses about one key of a sample: type, name, whether it is personal. Each is for a person to confirm.

Here: the guesses. Not here: reading samples and writing the YAML (`contracts.infer`).
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from lakehouse.contracts.types import RESERVED

_MONEY = re.compile(r"(price|amount|total|cost|revenue|fee|tax|value|balance|salary)", re.IGNORECASE)
_PERSONAL_NAME = re.compile(
    r"(e_?mail|phone|mobile|(first|last|full|user|customer)_?name|surname|address|street|birth|ssn|iban|passport"
    r"|card_?(number|no)|customer_?id|user_?id|(^|_)ip(_|$)|latitude|longitude)",
    re.IGNORECASE,
)
_PERSONAL_VALUE = re.compile(r"^([^@\s]+@[^@\s]+\.[^@\s]+|(\d{1,3}\.){3}\d{1,3}|\+\d[\d ()-]{7,})$")
_TIME_NAME = re.compile(r"(time|timestamp|date|(^|_)ts|_at)$", re.IGNORECASE)
_DATE = re.compile(r"^\d{4}-\d\d-\d\d$", re.ASCII)
_TIME = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d", re.ASCII)
_MONEY_DECIMALS = 2
_INT_MAX = 2**31 - 1
_LONG_MAX = 2**63 - 1
# 1990 to 2100; milliseconds are a thousand times that.
_EPOCH_SECONDS = range(631_152_000, 4_102_444_800)


@dataclass(frozen=True)
class Guess:
    """A field as guessed. `confirm` lists what a person should look at."""

    key: str
    name: str
    type: str
    nullable: bool
    pii: bool
    parse: str | None = None
    example: str = ""
    confirm: tuple[str, ...] = ()


def guess_field(key: str, values: Sequence[Any], *, missing: bool) -> Guess:
    """Look at all values of one key.

    Args:
        key: As in the events.
        values: Every value in the sample, nulls included.
        missing: Whether some event does not have the key.
    """
    present = [value for value in values if value is not None]
    kind, parse, confirm = _type(key, present)
    pii = bool(_PERSONAL_NAME.search(_words(key))) or any(
        isinstance(value, str) and _PERSONAL_VALUE.match(value) for value in present
    )
    if pii:
        confirm = (*confirm, "looks personal")
    example = "" if pii or not present else str(present[0])[:40]
    return Guess(
        key=key,
        name=column_name(key),
        type=kind,
        nullable=missing or len(present) < len(values),
        pii=pii,
        parse=parse,
        example=example,
        confirm=confirm,
    )


def column_name(key: str) -> str:
    """A column name for a key: lower case, words joined by `_`, letters and digits only."""
    name = re.sub(r"[^a-z0-9]+", "_", _words(key)).strip("_")[:50].rstrip("_")
    if not name or not name[0].isalpha():
        name = f"field_{name}".rstrip("_")
    return f"{name}_given" if name in RESERVED else name


def made_unique(guesses: list[Guess]) -> list[Guess]:
    """The same guesses, with a number behind column names that occur twice."""
    taken: set[str] = set()
    result = []
    for guess in guesses:
        name, number = guess.name, 2
        while name in taken:
            name, number = f"{guess.name}_{number}", number + 1
        taken.add(name)
        result.append(replace(guess, name=name))
    return result


def moment(value: Any) -> datetime | None:
    """The value as a time, when it is text in ISO 8601 with a time of day."""
    if not isinstance(value, str) or not _TIME.match(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _words(key: str) -> str:
    plain = unicodedata.normalize("NFKD", key).encode("ascii", "ignore").decode()
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain).lower()


def _type(key: str, present: list[Any]) -> tuple[str, str | None, tuple[str, ...]]:
    if not present:
        return "string", None, ("no value in the sample, type unknown",)
    kinds = {type(value) for value in present}
    if kinds == {bool}:
        return "boolean", None, ()
    if kinds == {int}:
        return _whole_number(key, present)
    if kinds <= {int, Decimal}:
        return _number(key, present)
    if kinds == {str}:
        return _text(present)
    if kinds & {dict, list}:
        return "string", None, ("nested: kept as JSON text",)
    return "string", None, ("values of several types",)


def _whole_number(key: str, present: list[int]) -> tuple[str, str | None, tuple[str, ...]]:
    if _TIME_NAME.search(_words(key)):
        if all(value in _EPOCH_SECONDS for value in present):
            return "timestamp", "timestamp_seconds(cast(value as bigint))", ("read as seconds since 1970",)
        if all(value // 1000 in _EPOCH_SECONDS for value in present):
            return "timestamp", "timestamp_millis(cast(value as bigint))", ("read as milliseconds since 1970",)
    largest = max(abs(value) for value in present)
    if largest > _LONG_MAX:
        return "string", None, ("numbers larger than any number type",)
    if _MONEY.search(key):
        return "decimal(18,2)", None, ("money?",)
    return ("long" if largest > _INT_MAX or key.lower().endswith("id") else "integer"), None, ()


def _number(key: str, present: list[Any]) -> tuple[str, str | None, tuple[str, ...]]:
    decimals = max(-int(Decimal(value).as_tuple().exponent) for value in present)
    if decimals <= _MONEY_DECIMALS and _MONEY.search(key) and max(abs(value) for value in present) < 10**16:
        return "decimal(18,2)", None, ("money?",)
    return "double", None, ()


def _text(present: list[str]) -> tuple[str, str | None, tuple[str, ...]]:
    if all(moment(value) for value in present):
        zones = {found.tzinfo is not None for value in present if (found := moment(value))}
        return "timestamp", None, () if zones == {True} else ("times without a zone are read as UTC",)
    if all(_is_date(value) for value in present):
        return "date", None, ()
    return "string", None, ()


def _is_date(value: str) -> bool:
    if not _DATE.match(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True
