"""Avro through a real registry: the silver that JSON gives, mixed versions, broken records, the registry gone."""

import json
import os
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.contracts.registration import registered_form
from lakehouse.contracts.registry import Registry, subject_of
from lakehouse.engine.embedded import stack as embedded
from lakehouse.errors import RegistryUnreachableError, SchemaIncompatibleError
from lakehouse.lake.drain import drain
from lakehouse.lake.ledger import merged_through
from lakehouse.lake.monitoring.progress import backlog
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.reports import DrainSummary
from lakehouse.lake.schema.registered import known_schemas
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings, load_settings
from lakehouse.sources.serde import AvroSerde
from lakehouse_tests.streams import encode, rows_of, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
Topic = Callable[[str], str]
LOYALTY = FieldSpec(name="loyalty", type="integer", description="Points.", nullable=True)


class RealRegistry:
    """An embedded registry in a home of its own, which can be stopped and started again on its files."""

    def __init__(self, home: Path) -> None:
        self.settings = load_settings(LAKEHOUSE_HOME=home)

    def start(self) -> str:
        [entry] = embedded.start(self.settings, ("registry",), owner_pid=os.getpid())
        return entry.url

    def stop(self) -> None:
        embedded.stop(self.settings)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RealRegistry]:
    found = RealRegistry(tmp_path / "registry")
    try:
        yield found
    finally:
        found.stop()


def run(contract: StreamContract, settings: Settings) -> DrainSummary:
    return drain(contract, settings, budget_seconds=240, idle_seconds=0)


def as_avro(contract: StreamContract) -> StreamContract:
    return contract.model_copy(update={"topic": contract.topic.model_copy(update={"format": "avro"})})


def silver(settings: Settings, contract: StreamContract) -> list[tuple[Any, ...]]:
    columns = ", ".join([*contract.field_names, "event_date", "_rescued"])
    return sorted(rows_of(LakePaths.of(settings).silver(contract.name), columns), key=str)


def test_avro_from_its_first_schema_to_a_registry_that_is_gone(
    settings: Settings, topic_name: Topic, registry: RealRegistry, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"schema_registry_url": registry.start()})
    beside = settings.model_copy(update={"home": tmp_path / "json", "root": str(tmp_path / "json" / "lake")})
    client = Registry.required(settings)
    assert client.compatibility() == "BACKWARD"

    # The same events in both formats give the same silver.
    plain = sales_on(settings, topic_name("plain"))
    first = as_avro(sales_on(settings, topic_name("avro")))
    topic = first.topic.name
    events = [
        encode(sale(n, at=datetime.now(UTC), unit_price=n + 0.01, quantity=1, total_price=n + 0.01)) for n in range(20)
    ]
    events.append(encode(sale(30, quantity=0)))
    writer = AvroSerde(first, client)
    send(settings, plain.topic.name, events)
    send(settings, topic, [writer.value(event) for event in events])
    assert (run(plain, beside).rejected, run(first, settings).rejected) == (1, 1)
    assert silver(settings, first) == silver(beside, plain)
    assert len(silver(settings, first)) == 20

    # A second version; records of both, and broken ones; the old writer goes on.
    second = first.model_copy(update={"fields": [*first.fields, LOYALTY]})
    newer = AvroSerde(second, client)
    assert newer.schema_id != writer.schema_id
    good = newer.value(encode(sale(41, loyalty=5)))
    broken = [good[: len(good) // 2], b"\x00" + struct.pack(">I", 9_999) + good[5:], encode(sale(42)), b"\x00\x00"]
    send(settings, topic, [good, writer.value(encode(sale(43))), *broken])
    assert run(second, settings).warnings == ()
    found = {row[0]: row[1] for row in rows_of(LakePaths.of(settings).silver(second.name), "order_id, loyalty")}
    assert (found[sale(41)["order_id"]], found[sale(43)["order_id"]], len(found)) == (5, None, 22)
    reasons = [row[0] for row in rows_of(LakePaths.of(settings).quarantine(second.name), "reasons")]
    unreadable = sorted(names[0] for names in reasons if names[0] != "quantity_positive")
    assert unreadable == ["malformed_avro", "not_avro", "not_avro", "unknown_schema"]
    assert verify(settings, [second]).findings == []

    # What the registry refuses is said by field and rule, and nothing is registered.
    required = second.model_copy(
        update={"fields": [*second.fields, LOYALTY.model_copy(update={"name": "level", "nullable": False})]}
    )
    with pytest.raises(SchemaIncompatibleError, match=r"field level, rule added_field_must_be_nullable"):
        AvroSerde(required, client)
    assert [entry.id for entry in client.versions(subject_of(topic))] == [writer.schema_id, newer.schema_id]

    # The registry goes away: known schemas do, with one warning; a new one stops silver, not bronze.
    registry.stop()
    send(settings, topic, [newer.value(encode(sale(44, loyalty=6))), writer.value(encode(sale(45)))])
    summary = run(second, settings)
    assert (summary.silver_rows, len(summary.warnings)) == (2, 1)
    assert "2 schemas of sales that the lake knows" in summary.warnings[0]
    through = merged_through(LakePaths.of(settings).silver(second.name))
    stranger = b"\x00" + struct.pack(">I", 7_777) + good[5:]
    send(settings, topic, [stranger, newer.value(encode(sale(46)))])
    with pytest.raises(RegistryUnreachableError, match="records of schema 7777"):
        run(second, settings)
    assert backlog(second, settings).total == 0
    assert merged_through(LakePaths.of(settings).silver(second.name)) == through

    # It comes back with the ids it had, and the drain goes on.
    again = settings.model_copy(update={"schema_registry_url": registry.start()})
    assert AvroSerde(second, Registry.required(again)).schema_id == newer.schema_id
    assert run(second, again).silver_rows == 1
    assert sorted(known_schemas(LakePaths.of(settings), second.name)) == [writer.schema_id, newer.schema_id]
    assert verify(settings, [second]).findings == []

    # A JSON topic has its schema in the registry too, and by the same rules.
    fresh = Registry.required(again)
    subject = subject_of(plain.topic.name)
    kind, text = registered_form(plain)
    assert kind == "JSON"
    number = fresh.register(subject, kind, text)
    added = plain.model_copy(update={"fields": [*plain.fields, LOYALTY]})
    dropped = plain.model_copy(update={"fields": [f for f in plain.fields if f.name != "discount"]})
    for contract in (added, dropped):
        assert fresh.accepts(subject, kind, registered_form(contract, text)[1])
    wrong = json.loads(text)
    wrong["properties"]["quantity"] = {"type": "string"}
    assert not fresh.accepts(subject, kind, json.dumps(wrong))
    assert fresh.register(subject, kind, text) == number
