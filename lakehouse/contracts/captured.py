"""Does a contract fit the schema that a connector registered for its table? The connector's schema, not ours, counts.

Here: finding the row inside an envelope, comparing it with the contract's fields; pure functions. Not here: schemas
that streams register themselves (`contracts.registration`), reading change records (`transforms.changes`).
"""

import json
import re
from typing import Any

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec

# What a converter writes for a column, and the contract's types by which every such value can be read.
_READABLE: dict[str, frozenset[str]] = {
    "string": frozenset({"string", "decimal", "timestamp", "date"}),
    "int": frozenset({"integer", "long", "double", "decimal", "string", "date"}),
    "long": frozenset({"long", "double", "decimal", "string", "timestamp"}),
    "float": frozenset({"double", "decimal", "string"}),
    "double": frozenset({"double", "decimal", "string"}),
    "boolean": frozenset({"boolean", "string"}),
    "decimal": frozenset({"decimal", "double", "string"}),
    "date": frozenset({"date", "timestamp", "string"}),
    "timestamp": frozenset({"timestamp", "string"}),
}
_LOGICAL = {"decimal": "decimal", "date": "date", "timestamp-millis": "timestamp", "timestamp-micros": "timestamp"}
_DECIMAL = re.compile(r"^decimal\((\d+),(\d+)\)$")


def captured_problems(contract: StreamContract, text: str) -> list[str]:
    """What keeps the contract from reading rows of a registered Avro schema, by field and rule; none when it can.

    Args:
        contract: A stream of mode cdc.
        text: The schema of its topic's values: an envelope, or the row alone.
    """
    columns = row_columns(text, contract)
    if columns is None:
        return ["the registered schema is no record, rule row_is_there"]
    own = [field for field in contract.fields if field.derive is None]
    problems = [problem for field in own if (problem := _problem(field, columns, contract))]
    known = {key for field in own for key in field.keys}
    if contract.evolve.add == "stop":
        problems += [f"the contract does not know {name}, rule evolve.add" for name in columns if name not in known]
    return problems


def row_columns(text: str, contract: StreamContract) -> dict[str, Any] | None:
    """The table's columns and their Avro types, without the null of those that may be null."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("type") != "record":
        return None
    fields = {field["name"]: _own(field["type"]) for field in document["fields"]}
    is_envelope = contract.change.shape != "flat" and "op" in fields and {"before", "after"} <= fields.keys()
    if is_envelope:
        # The row is written out where it stands first; after that it goes by its name.
        row = next((fields[part] for part in ("before", "after") if isinstance(fields[part], dict)), None)
        if row is None:
            return None
        fields = {field["name"]: _own(field["type"]) for field in row["fields"]}
    return {name: kind for name, kind in fields.items() if not name.startswith("__")}


def _own(kind: Any) -> Any:
    """The type without null; a choice of several as it is."""
    if not isinstance(kind, list):
        return kind
    others = [part for part in kind if part != "null"]
    return others[0] if len(others) == 1 else others


def _problem(field: FieldSpec, columns: dict[str, Any], contract: StreamContract) -> str:
    found = next((columns[key] for key in field.keys if key in columns), None)
    if found is None:
        is_needed = not field.nullable or field.name in contract.key
        return f"the table has no column {field.key} (field {field.name}, rule required_field_is_there)" * is_needed
    if field.parse is not None or _is_readable(field, found):
        return ""
    return f"{_named(found)} cannot be read as {field.type} (field {field.name}, rule type_may_only_widen)"


def _is_readable(field: FieldSpec, found: Any) -> bool:
    wanted = _DECIMAL.match(field.type)
    # Whatever has no type of ours is told as text.
    readable = _READABLE.get(_family(found), frozenset({"string"}))
    if ("decimal" if wanted else field.type) not in readable:
        return False
    if wanted is None or _family(found) != "decimal":
        return True
    digits, scale = int(wanted[1]), int(wanted[2])
    held: tuple[int, int] = found["precision"], found.get("scale", 0)
    return held[1] <= scale and held[0] - held[1] <= digits - scale


def _family(kind: Any) -> str:
    if isinstance(kind, str):
        return kind
    if not isinstance(kind, dict):
        return ""
    return _LOGICAL.get(kind.get("logicalType", ""), str(kind.get("type")))


def _named(kind: Any) -> str:
    if isinstance(kind, dict) and kind.get("logicalType") == "decimal":
        return f"decimal({kind['precision']},{kind.get('scale', 0)})"
    if isinstance(kind, dict) and "connect.name" in kind:
        return f"{_family(kind)} ({kind['connect.name']})"
    return _family(kind) or json.dumps(kind)
