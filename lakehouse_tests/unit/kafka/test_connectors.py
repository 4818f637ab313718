"""Connector templates: what they say, what is filled in, and that no secret ever stands in one."""

import json
import re
import zipfile
from pathlib import Path

import pytest

from lakehouse.engine.embedded import connect_avro, connect_jars, jars
from lakehouse.errors import UsageError
from lakehouse.kafka.connectors import TEMPLATES, avro_settings, render, template_names
from lakehouse.settings import PROJECT_ROOT, load_settings


def test_the_capture_connector_has_the_facts_that_the_source_and_the_streams_rely_on() -> None:
    found = render("postgres-cdc-connector")
    wanted = {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "postgres",
        "database.port": "5432",
        "database.user": "debezium",
        "database.password": "${env:POSTGRES_CDC_PASSWORD}",
        "database.dbname": "source_db",
        "topic.prefix": "source",
        "table.include.list": "public.orders,public.customers",
        "plugin.name": "pgoutput",
        "publication.name": "dbz_publication",
        "slot.name": "debezium_slot",
    }
    assert found.name == "postgres-cdc-connector"
    assert wanted.items() <= found.config.items()
    script = (PROJECT_ROOT / "infra" / "postgres" / "source.sql").read_text(encoding="utf-8")
    for name in ("dbz_publication", "debezium_slot", "wal_level", "public.orders", "public.customers", "pgoutput"):
        assert name in script


def test_both_ways_to_sign_in_to_snowflake() -> None:
    key, password = render("snowflake_connector").config, render("snowflake_connector_password").config
    assert key["snowflake.private.key"] == "${env:SNOWFLAKE_PRIVATE_KEY}"
    assert password["connection.password"] == "${env:SNOWFLAKE_PASSWORD}"
    assert key["topics"] == password["topics"] == "sales_events"


@pytest.mark.parametrize("name", template_names())
def test_no_template_holds_a_secret(name: str) -> None:
    config = json.loads((TEMPLATES / f"{name}.json").read_text(encoding="utf-8"))["config"]
    for key, value in config.items():
        if re.search("password|passphrase|private.key|secret|token", key):
            assert re.fullmatch(r"\$\{env:[A-Z_]+\}", value), key
    assert not any(key.startswith("_") for key in render(name).config)


def test_a_secret_in_clear_text_is_refused() -> None:
    with pytest.raises(UsageError, match=r"database\.password .* clear text"):
        render("postgres-cdc-connector", changes={"database.password": "geheim"})
    with pytest.raises(UsageError, match="no connector template"):
        render("mysql")


def test_avro_is_asked_of_the_embedded_registry_and_of_no_other() -> None:
    found = avro_settings(load_settings(SCHEMA_REGISTRY_URL="http://127.0.0.1:8081/apis/ccompat/v7"))
    assert len(found) == 15
    for part in ("key", "value"):
        assert found[f"{part}.converter"] == connect_avro.CONVERTER
        assert found[f"{part}.converter.apicurio.registry.url"] == "http://127.0.0.1:8081/apis/registry/v2"
    with pytest.raises(UsageError, match="needs the embedded registry"):
        avro_settings(load_settings(SCHEMA_REGISTRY_URL="https://registry.example.com"))


def test_the_converter_brings_nothing_that_connect_has_and_is_found_by_its_list(tmp_path: Path) -> None:
    locked = jars.read_lock(connect_avro.LOCK_FILE)[connect_avro.AVRO]
    assert set(connect_avro.TRANSITIVE[connect_avro.AVRO]) <= {jar.coordinate for jar in locked}
    there = jars.read_lock(connect_jars.LOCK_FILE)[connect_jars.CONNECT]
    assert not {_artifact(jar) for jar in locked} & {_artifact(jar) for jar in there}
    connect_avro.write_manifest(tmp_path)
    with zipfile.ZipFile(tmp_path / connect_avro.MANIFEST) as archive:
        listed = archive.read("META-INF/services/org.apache.kafka.connect.storage.Converter")
    assert listed.decode().split() == [connect_avro.CONVERTER]


def _artifact(jar: jars.Jar) -> str:
    return jar.coordinate.rpartition(":")[0]


def test_the_lock_of_connect_holds_no_jar_twice_and_the_named_versions() -> None:
    groups = jars.read_lock(connect_jars.LOCK_FILE)
    assert set(groups) == {connect_jars.CONNECT, connect_jars.DEBEZIUM}
    for group, wanted in connect_jars.TRANSITIVE.items():
        assert set(wanted) <= {jar.coordinate for jar in groups[group]}
    artifacts = [jar.coordinate.rpartition(":")[0] for group in groups.values() for jar in group]
    assert len(artifacts) == len(set(artifacts)), "what Connect has, a plugin must not bring again"
    # One cache for all locks: a file name must not mean other bytes in another lock.
    other = {jar.file_name: jar.sha256 for group in jars.read_lock().values() for jar in group}
    mine = {jar.file_name: jar.sha256 for group in groups.values() for jar in group}
    assert all(other[name] == mine[name] for name in other.keys() & mine.keys())
