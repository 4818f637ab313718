"""Change data in Avro through a real registry: silver and its history are what JSON gives, also once it is gone."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.registry import Registry, subject_of
from lakehouse.engine.embedded import stack as embedded
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.schema.registered import known_schemas
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.changes import Change, Record
from lakehouse_tests.connector_avro import CITY, COLUMNS, AvroConverter, as_json, envelope_schema, people_of
from lakehouse_tests.integration.lake.people import Topic, send, some_changes
from lakehouse_tests.streams import rows_of

pytestmark = [pytest.mark.kafka, pytest.mark.spark]
COUNT, HALF = 40, 20


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Settings]:
    """The settings of an embedded registry; `embedded.stop` of them ends it early."""
    own = load_settings(LAKEHOUSE_HOME=tmp_path / "registry")
    try:
        [entry] = embedded.start(own, ("registry",), owner_pid=os.getpid())
        yield own.model_copy(update={"schema_registry_url": entry.url})
    finally:
        embedded.stop(own)


def contract_on(settings: Settings, topic: str, form: str) -> StreamContract:
    """Three partitions, versions of all fields; both topics exist afterwards."""
    from lakehouse.kafka.topics import apply_topics, desired_topics

    contract = people_of({"name": topic, "partitions": 3, "format": form}, history="scd2")
    apply_topics(settings, desired_topics([contract]))
    fields = contract.model_dump(mode="json")["fields"]
    city = {"name": "city", "type": "string", "nullable": True, "description": "City."}
    return StreamContract.model_validate(contract.model_dump(mode="json") | {"fields": [*fields, city]})


def tables(settings: Settings, contract: StreamContract) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Silver and the versions of its history, without what only says where a record lay in Kafka."""
    paths, fields = LakePaths.of(settings), ", ".join(contract.field_names)
    silver = rows_of(
        paths.silver(contract.name), f"{fields}, event_date, _rescued, _op, _deleted, _changed_at, _position"
    )
    versions = rows_of(paths.history(contract.name), f"{fields}, valid_from, valid_to, is_current, is_version")
    return sorted(silver, key=str), sorted((row for row in versions if row[-1]), key=str)


def spread(settings: Settings, topic: str, records: list[tuple[Change, Record]]) -> None:
    for partition in range(3):
        send(settings, topic, [record for change, record in records if change.id % 3 == partition], partition)


def run(contract: StreamContract, settings: Settings) -> tuple[str, ...]:
    return drain(contract, settings, budget_seconds=240, idle_seconds=0).warnings


def test_change_data_in_avro_becomes_what_json_becomes(
    settings: Settings, topic_name: Topic, registry: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"schema_registry_url": registry.schema_registry_url})
    beside = settings.model_copy(update={"home": tmp_path / "json", "root": str(tmp_path / "json" / "lake")})
    client = Registry.required(settings)
    plain = contract_on(settings, topic_name("plain"), "json")
    avro = contract_on(settings, topic_name("avro"), "avro")

    # A snapshot, then what happened to its rows; half way the table gets a column, which the contract knows already.
    story = [Change("r", number, f"r{number}", "7.00", 0) for number in range(1, 13)]
    story += [change._replace(lsn=(change.lsn or 0) * 10) for change in some_changes(5, COUNT)]
    halves = (story[: 12 + HALF], story[12 + HALF :])
    told: list[tuple[Change, Record]] = []
    for number, (half, columns) in enumerate(zip(halves, (COLUMNS, COLUMNS | CITY), strict=True)):
        converter = AvroConverter(client.client, avro.topic.name, columns)
        records: list[tuple[Change, Record]] = []
        for change in half:
            # Of every second deleted row the source tells nothing but its key, in the record's key.
            options: dict[str, Any] = {"is_told_before": (change.lsn or 0) % 20 > 0}
            options |= {"city": f"c{change.id % 2}"} if number else {}
            records.append((change, converter(change, **options)))
            told.append((change, as_json(change, **options)))
            if change.op == "d":
                gone = Change("tombstone", change.id)
                records.append((gone, converter(gone)))
                told.append((gone, as_json(gone)))
        if number:
            good = records[0][1].value or b""
            records += [(Change("c", 1), Record(None, bad)) for bad in (good[:9], b'{"op": "c"}')]
        spread(settings, avro.topic.name, records)
        assert run(avro, settings) == ()
    assert {change.op for change, _ in told} == {"r", "c", "u", "d", "tombstone"}
    spread(beside, plain.topic.name, told)
    run(plain, beside)
    silver, versions = tables(settings, avro)
    assert (silver, versions) == tables(beside, plain)
    assert (len({row[0] for row in silver}), len(versions) > HALF) == (12, True)
    assert {row[avro.field_names.index("city")] for row in versions} == {None, "c0", "c1"}
    reasons = [row[0] for row in rows_of(LakePaths.of(settings).quarantine(avro.name), "reasons")]
    assert sorted(reasons) == [["malformed_avro"], ["not_avro"]]
    assert verify(settings, [avro]).findings == []
    ids = {schema.id for part in ("value", "key") for schema in client.versions(subject_of(avro.topic.name, part))}
    assert (set(known_schemas(LakePaths.of(settings), avro.name)), len(ids)) == (ids, 3)

    # The registry has what the connector wrote: the contract is held against the row in it, and registers nothing.
    customers = load_stream("customers")
    subject = subject_of(customers.topic.name)
    client.register(subject, "AVRO", json.dumps(envelope_schema({"id": "long", "name": "string"})))
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", str(settings.schema_registry_url))
    lakehouse = CliRunner()
    refused = lakehouse.invoke(app, ["schemas", "check", "customers"])
    assert refused.exit_code == 10
    assert "no column email (field email, rule required_field_is_there)" in refused.output.replace("\n", " ")
    assert lakehouse.invoke(app, ["schemas", "register", "customers"]).exit_code != 0
    assert lakehouse.invoke(app, ["schemas", "register"]).exit_code == 0
    assert len(client.versions(subject)) == 1
    assert subject_of("sales_events") in client.subjects()
    shown = lakehouse.invoke(app, ["schemas", "show", "customers"])
    assert json.loads(shown.output)["name"] == "Envelope"

    # Without a registry the lake goes on with its own copy, keys included.
    embedded.stop(registry)
    last = Change("d", silver[0][0], lsn=10_000)
    spread(settings, avro.topic.name, [(last, converter(last, is_told_before=False))])
    [warning] = run(avro, settings)
    assert "3 schemas of people that the lake knows" in warning
    found = {row[0]: row[1:] for row in rows_of(LakePaths.of(settings).silver(avro.name), "id, _deleted, _position")}
    assert found[last.id] == (True, [10_000])
