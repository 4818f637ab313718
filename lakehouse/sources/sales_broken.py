"""Sales events broken on purpose, one way at a time, as real systems break them.

Here: each kind of damage and what it must be found out by. Not here: which events are hit (`sources.sales`).
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

Damage = Callable[[bytes], bytes]


class BrokenKind(NamedTuple):
    """One kind of damage.

    `breaks` is the rule of the sales contract that finds it, or `parse` when no fields can be read at all, or the name
    of the field that is missing or of a wrong type.
    """

    breaks: str
    damage: Damage


def _changed(**values: Any) -> Damage:
    def damage(value: bytes) -> bytes:
        return _dump(json.loads(value) | values)

    return damage


def _without(name: str) -> Damage:
    def damage(value: bytes) -> bytes:
        event = json.loads(value)
        del event[name]
        return _dump(event)

    return damage


def _net_total(value: bytes) -> bytes:
    """The classic misunderstanding: the discount is already taken off the total."""
    event = json.loads(value)
    return _dump(event | {"total_price": round(event["total_price"] * 0.9 - 0.02, 2)})


def _negative_quantity(value: bytes) -> bytes:
    event = json.loads(value)
    return _dump(event | {"quantity": -event["quantity"], "total_price": -event["total_price"]})


def _dump(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


BROKEN_KINDS: dict[str, BrokenKind] = {
    "cut_off": BrokenKind("parse", lambda value: value[: len(value) // 2]),
    "not_utf8": BrokenKind("parse", lambda value: value.decode().encode("utf-16")),
    "wrong_type": BrokenKind("quantity", _changed(quantity="many")),
    "no_order_id": BrokenKind("order_id", _without("order_id")),
    "no_timestamp": BrokenKind("sale_timestamp", _without("sale_timestamp")),
    "negative_quantity": BrokenKind("quantity_positive", _negative_quantity),
    "net_total": BrokenKind("total_is_gross", _net_total),
    "discount_in_percent": BrokenKind("discount_in_range", _changed(discount=5)),
    "unknown_category": BrokenKind("known_category", _changed(category="Misc")),
    "order_number": BrokenKind("order_id_is_uuid", _changed(order_id="ORDER-1")),
    "customer_number": BrokenKind("customer_id_format", _changed(customer_id="4711")),
}
