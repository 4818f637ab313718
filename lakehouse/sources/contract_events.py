"""Events for any stream, made from its contract: values by field type, within the limits that simple rules name.

Here: seeded values. Not here: realistic data (`sources.sales`). Rules that need more than a limit, a list or a pattern
are not understood: expect such events to be rejected.
"""

import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.sources.patterns import sample
from lakehouse.sources.sales import Now
from lakehouse.sources.sales_broken import BROKEN_KINDS

# Damage that needs to know nothing of the event.
_DAMAGE = ("cut_off", "not_utf8")
_NULL_SHARE = 0.05
_RECENT = 200
_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath")
_JAVA_TIME = (("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S"))


class Limits(NamedTuple):
    """What the rules say about one field."""

    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    pattern: str = ""


class ContractEvents:
    """An endless source of (key, value) for one stream.

    Args:
        contract: What the events should look like.
        seed: The same seed gives the same events, apart from their times.
        bad_share: Share of events (0 to 1) that is broken on purpose.
        repeated_share: Share that repeats an earlier event byte for byte; as many again repeat only its key.
        now: Seconds since 1970, UTC: the time of the next event.
    """

    def __init__(
        self, contract: StreamContract, *, seed: int, bad_share: float, repeated_share: float, now: Now
    ) -> None:
        self._contract = contract
        self._source = random.Random(seed)
        self._bad_share = bad_share
        self._repeated_share = repeated_share
        self._now = now
        self._limits = limits_of(contract)
        self._fields = [field for field in contract.fields if field.derive is None]
        self._recent: list[dict[str, Any]] = []
        self._made = 0

    def __iter__(self) -> Iterator[tuple[str | None, bytes]]:
        return self

    def __next__(self) -> tuple[str | None, bytes]:
        source = self._source
        self._made += 1
        draw = source.random()
        if self._recent and draw < self._repeated_share:
            return self._encoded(source.choice(self._recent))
        event = {field.key: self._value(field) for field in self._fields}
        if self._recent and draw < 2 * self._repeated_share:
            earlier = source.choice(self._recent)
            event |= {field.key: earlier[field.key] for field in self._fields if field.name in self._contract.key}
        if source.random() < self._bad_share:
            key, value = self._encoded(event)
            return key, BROKEN_KINDS[source.choice(_DAMAGE)].damage(value)
        self._recent = [*self._recent[-_RECENT:], event]
        return self._encoded(event)

    def _encoded(self, event: dict[str, Any]) -> tuple[str | None, bytes]:
        wanted = [self._contract.topic.key_field] if self._contract.topic.key_field else self._contract.key
        names = [field.key for field in self._fields if field.name in wanted]
        key = "/".join(str(event[name]) for name in names) or None
        return key, json.dumps(event).encode()

    def _value(self, field: FieldSpec) -> Any:
        is_key = field.name in self._contract.key
        if field.nullable and not is_key and self._source.random() < _NULL_SHARE:
            return None
        if field.type in ("timestamp", "date"):
            value = self._moment(field)
        elif is_key and field.type in ("integer", "long"):
            value = self._made
        elif is_key:
            value = self._patterned(field) or f"{field.name}-{self._made}"
        else:
            value = self._plain(field)
        return str(value) if field.parse is not None and not isinstance(value, int) else value

    def _plain(self, field: FieldSpec) -> Any:
        limits = self._limits.get(field.name, Limits())
        if limits.choices:
            return self._source.choice(limits.choices)
        if field.type == "boolean":
            return self._source.random() < 0.5
        if field.type == "string":
            return self._patterned(field) or self._source.choice(_WORDS)
        low = 1.0 if limits.low is None else limits.low
        high = low + 100 if limits.high is None else limits.high
        if field.type in ("integer", "long"):
            first = math.ceil(low)
            return self._source.randint(first, max(first, math.floor(high)))
        return round(low + (high - low) * self._source.random(), 2)

    def _patterned(self, field: FieldSpec) -> str | None:
        pattern = self._limits.get(field.name, Limits()).pattern
        return sample(pattern, self._source) if pattern else None

    def _moment(self, field: FieldSpec) -> Any:
        """A time in the form that the field's `parse` reads: a pattern, seconds, milliseconds, else ISO 8601."""
        seconds = self._now()
        moment, parse = datetime.fromtimestamp(seconds, UTC), field.parse or ""
        if "timestamp_millis" in parse:
            return int(seconds * 1000)
        if "timestamp_seconds" in parse:
            return int(seconds)
        if "'yyyy" in parse:
            pattern = "yyyy" + parse.split("'yyyy")[1].split("'")[0]
            for java, python in _JAVA_TIME:
                pattern = pattern.replace(java, python)
            return moment.strftime(pattern)
        return moment.date().isoformat() if field.type == "date" else moment.isoformat(timespec="milliseconds")


def limits_of(contract: StreamContract) -> dict[str, Limits]:
    """What rules say about single fields: `a > 0 and a < 1`, `a between 1 and 5`, `a in (…)`, `a rlike '…'`."""
    import sqlglot
    from sqlglot import exp

    found: dict[str, Limits] = {}
    for rule in contract.rules:
        tree = sqlglot.parse_one(rule.sql, dialect="spark")
        for part in tree.flatten() if isinstance(tree, exp.And) else [tree]:
            if isinstance(part.this, exp.Column):
                name = part.this.name
                found[name] = _narrowed(found.get(name, Limits()), part)
    return found


def _narrowed(known: Limits, part: Any) -> Limits:
    from sqlglot import exp

    if isinstance(part, exp.In):
        values = [_constant(value) for value in part.expressions]
        return known if None in values or not values else known._replace(choices=tuple(values))
    if isinstance(part, exp.RegexpLike):
        return known._replace(pattern=str(_constant(part.expression) or ""))
    if isinstance(part, exp.Between):
        low, high = _constant(part.args["low"]), _constant(part.args["high"])
    else:
        bound = _constant(part.expression) if isinstance(part, exp.Binary) else None
        low = bound if isinstance(part, exp.GT | exp.GTE) else None
        high = bound if isinstance(part, exp.LT | exp.LTE) else None
    # A strict limit is kept away from by a hundredth.
    margin = 0.01 if isinstance(part, exp.GT | exp.LT) else 0.0
    return known._replace(
        low=low + margin if isinstance(low, int | float) else known.low,
        high=high - margin if isinstance(high, int | float) else known.high,
    )


def _constant(node: Any) -> Any:
    """The value of a literal; None for anything else."""
    from sqlglot import exp

    if isinstance(node, exp.Neg):
        value = _constant(node.this)
        return -value if isinstance(value, int | float) else None
    if not isinstance(node, exp.Literal):
        return None
    if node.is_string:
        return node.this
    return int(node.this) if node.this.isdigit() else float(node.this)
