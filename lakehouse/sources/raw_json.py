"""JSON whose numbers keep the digits that the sender wrote: a price never passes through a binary fraction.

Here: reading and writing. Not here: what the documents mean.
"""

import json
from decimal import Decimal
from typing import Any


class RawNumber(Decimal):
    """A number with a fraction or exponent, and the text it came as: 1.10 stays 1.10."""

    text: str

    def __new__(cls, text: str) -> "RawNumber":
        """Keep the text beside the value."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def parse_json(text: bytes | str) -> Any:
    """The document; numbers with a fraction or exponent are `RawNumber`, whole ones `int`.

    Raises:
        json.JSONDecodeError: also for NaN and Infinity, which JSON does not have.
        UnicodeDecodeError: for bytes that are no UTF-8.
    """
    source = text.decode("utf-8-sig") if isinstance(text, bytes) else text

    def no_number(name: str) -> Any:
        raise json.JSONDecodeError(f"{name} is no JSON", source, max(0, source.find(name)))

    return json.loads(source, parse_float=RawNumber, parse_constant=no_number)


def dump_json(value: Any) -> bytes:
    """One compact line, numbers as they came."""
    return _text(value).encode()


def _text(value: Any) -> str:
    if isinstance(value, RawNumber):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{_text(str(key))}:{_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
