"""Events made from a contract keep its types, limits and keys; the share that is broken is broken."""

import json
from datetime import datetime
from itertools import islice
from typing import Any

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec, Rule
from lakehouse.sources.contract_events import ContractEvents, limits_of
from lakehouse.sources.event_check import broken_promises

FIELDS = [
    ("id", "long", None), ("at", "timestamp", None), ("kind", "string", None), ("code", "string", None),
    ("amount", "decimal(12,2)", None), ("share", "double", None), ("pieces", "integer", None), ("day", "date", None),
    ("paid", "boolean", None), ("seen", "timestamp", "timestamp_millis(cast(value as bigint))"),
    ("told", "timestamp", "try_to_timestamp(trim(value), 'yyyy-MM-dd HH:mm:ss')"),
]  # fmt: skip
RULES = {
    "code": "code rlike '^[A-Z]{2}-[0-9]+$'",
    "known": "kind in ('a', 'b')", "share": "share >= 0 and share < 1", "pieces": "pieces between 3 and 5",
    "amount": "amount > -2 and amount <= 0.5", "other": "abs(amount - pieces) < 100",
}  # fmt: skip


@pytest.fixture(scope="module")
def contract() -> StreamContract:
    fields = [
        FieldSpec(name=name, type=kind, parse=parse, description="A field.", nullable=name == "paid")
        for name, kind, parse in FIELDS
    ]
    changes = {"fields": fields, "rules": [Rule(name=n, sql=sql) for n, sql in RULES.items()], "key": ["id"]}
    return load_stream("sales").model_copy(update=changes | {"event_time": "at"})


def events(contract: StreamContract, **shares: float) -> list[tuple[str | None, bytes]]:
    wanted: dict[str, Any] = {"seed": 3, "bad_share": 0, "repeated_share": 0, "now": lambda: 1_790_000_000.5} | shares
    return list(islice(ContractEvents(contract, **wanted), 500))


def test_events_keep_types_and_simple_rules(contract: StreamContract) -> None:
    made = events(contract)
    assert [found for found in broken_promises(contract, [value for _, value in made]) if found] == []
    values = [json.loads(value) for _, value in made]
    assert {event["pieces"] for event in values} == {3, 4, 5}
    assert {event["kind"] for event in values} == {"a", "b"}
    assert {event["paid"] for event in values} == {True, False, None}
    assert min(event["amount"] for event in values) < 0
    assert values[0]["seen"] == 1_790_000_000_500
    assert datetime.strptime(values[0]["told"], "%Y-%m-%d %H:%M:%S").year == 2026  # noqa: DTZ007 - the form is what counts
    assert [key for key, _ in made] == [str(event["id"]) for event in values]
    assert len({event["id"] for event in values}) == len(values)


def test_shares_are_broken_and_repeated(contract: StreamContract) -> None:
    broken = broken_promises(contract, [value for _, value in events(contract, bad_share=0.2)])
    assert 50 < sum(names == ["parse"] for names in broken) < 150
    made = events(contract, repeated_share=0.1)
    values = {value for _, value in made}
    assert 20 < len(made) - len(values) < 90
    keys = {key for key, _ in made}
    assert len(keys) < len(values), "a key comes again with other values too"


def test_limits_are_what_simple_rules_say(contract: StreamContract) -> None:
    limits = limits_of(contract)
    assert limits["code"].pattern == "^[A-Z]{2}-[0-9]+$"
    assert limits["kind"].choices == ("a", "b")
    assert limits["share"][:2] == (0, 0.99)
    assert limits["pieces"][:2] == (3, 5)
    assert limits["amount"][:2] == (-1.99, 0.5)
