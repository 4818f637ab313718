"""Corrected fields of one event: `field=value` as somebody typed it, to JSON as the contract wants it.

Here: text to text, pure. Not here: which events are corrected (`lake.rejects.resend`).
"""

import json
import re
import uuid
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.errors import UsageError, nearest

_FORMS = {
    "integer": "a whole number",
    "long": "a whole number",
    "double": "a number",
    "boolean": "true or false",
    "date": "a date such as 2026-11-01",
    "timestamp": "a time such as 2026-11-01T09:30:00Z",
}
Corrections = dict[str, str]
"""JSON key to the JSON text of its new value."""


def parse_corrections(contract: StreamContract, pairs: list[str]) -> Corrections:
    """Read `field=value` pairs.

    Raises:
        UsageError: no such field, a derived one, or a value that is none of its type; nothing was done.
    """
    found: Corrections = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"--set {pair!r} is no field=value.", fix="For example: --set quantity=2")
        field = _field(contract, name.strip())
        try:
            found[field.key] = _json(field, text)
        except (ValueError, InvalidOperation) as error:
            form = _FORMS.get(field.type, f"a {field.type}")
            raise UsageError(
                f"--set {name}: {text!r} is not {form}.", fix=f"{name} is of type {field.type}."
            ) from error
    return found


def corrected(event: str, corrections: Corrections, *, is_change: bool = False) -> str:
    """The event with these values; every other value stays as it is written, also numbers that no float holds.

    Args:
        event: JSON text.
        corrections: As `parse_corrections` returns them.
        is_change: The event is a change record: the values belong into its row.

    Raises:
        ValueError: the event is no JSON object.
    """
    # Numbers travel as marked strings, so that neither reading nor writing rounds them.
    mark = uuid.uuid4().hex
    try:
        document: Any = json.loads(
            event,
            parse_float=lambda text: mark + text,
            parse_int=lambda text: mark + text,
            parse_constant=lambda text: mark + text,
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - the text is wrong, not the type of an argument
    row = _row_of(document) if is_change else document
    row.update({key: mark + text for key, text in corrections.items()})
    parts = re.split(rf'"{mark}((?:[^"\\]|\\.)*)"', json.dumps(document))
    return "".join(json.loads(f'"{part}"') if number % 2 else part for number, part in enumerate(parts))


def _row_of(document: dict[str, Any]) -> dict[str, Any]:
    """The row within a change record: the image after the change, out of its envelopes; the record itself when flat."""
    inner = document["payload"] if document.keys() == {"schema", "payload"} else document
    image = inner.get("after") if isinstance(inner, dict) and "op" in inner else inner
    return image if isinstance(image, dict) else document


def _field(contract: StreamContract, name: str) -> FieldSpec:
    own = {field.name: field for field in contract.fields if field.derive is None}
    if name in own:
        return own[name]
    hint = nearest(name, own, f"Fields: {', '.join(own)}.")
    raise UsageError(f"Events of stream {contract.name} have no field {name!r}.", fix=hint)


def _json(field: FieldSpec, text: str) -> str:
    """The JSON text of a value of that field.

    Raises:
        UsageError: events have it in a form that cannot be written here.
        ValueError: it is no value of the field.
    """
    if field.encoding == "base64":
        raise UsageError(
            f"{field.name} cannot be set: events have its bytes in base64.",
            fix="Send the corrected record from its source, or correct the contract and replay quarantine.",
        )
    if field.parse is not None or field.type == "string":
        return json.dumps(text)
    if field.type in ("integer", "long"):
        return str(int(text))
    if field.type == "double":
        return json.dumps(float(text), allow_nan=False)
    if field.type == "boolean":
        if text not in ("true", "false"):
            raise ValueError(text)
        return text
    if field.type in ("date", "timestamp"):
        (date if field.type == "date" else datetime).fromisoformat(text)
        return json.dumps(text)
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(text)
    return f"{number:f}"
