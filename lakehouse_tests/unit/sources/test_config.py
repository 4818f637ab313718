"""Command line, then environment, then --config file, then default."""

import json
from pathlib import Path
from typing import Any

import pytest

from lakehouse.errors import SettingsError, UsageError
from lakehouse.kafka.client import client_config
from lakehouse.settings import PROJECT_ROOT
from lakehouse.sources.client_names import translate_properties
from lakehouse.sources.config import resolve

SAMPLE = PROJECT_ROOT / "infra" / "kafka" / "producer_config.json"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_TOPIC", "PRODUCER_INTERVAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    section = {
        "bootstrap.servers": ["file:1"],
        "topics": {"sales": "file_topic"},
        "interval": 3,
        "producer": {"linger.ms": 77, "buffer.memory": 33554432, "key.serializer": "StringSerializer"},
    }
    path.write_text(json.dumps({"local": section, "msk": {"interval": 9}}), encoding="utf-8")
    return path


def _values(**given: Any) -> tuple[str, str, float]:
    options = resolve(**given)
    return options.settings.kafka_bootstrap_servers, options.topic, options.interval


def test_each_place_wins_over_the_ones_below(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert _values() == ("localhost:9092", "sales_events", 1.0)
    # What a running stack wrote down is a better default, no more.
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "endpoints.json").write_text('{"KAFKA_BOOTSTRAP_SERVERS": "up:1"}', encoding="utf-8")
    assert _values() == ("up:1", "sales_events", 1.0)
    assert _values(config=file) == ("file:1", "file_topic", 3.0)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "env:1")
    monkeypatch.setenv("KAFKA_TOPIC", "env_topic")
    monkeypatch.setenv("PRODUCER_INTERVAL", "4")
    assert _values(config=file) == ("env:1", "env_topic", 4.0)
    assert _values(config=file, brokers="cli:1,cli:2", topic="my_sales", interval=0.0) == (
        "cli:1,cli:2",
        "my_sales",
        0.0,
    )
    assert _values(config=file, topic="my_sales") == ("env:1", "my_sales", 4.0)


def test_sections_are_environments(file: Path) -> None:
    assert _values(config=file, section="msk") == ("localhost:9092", "sales_events", 9.0)


def test_client_properties_come_from_the_file_in_librdkafkas_words(file: Path) -> None:
    options = resolve(config=file)
    assert options.client["linger.ms"] == 77
    assert options.client["queue.buffering.max.kbytes"] == 32768
    assert options.client["bootstrap.servers"] == "file:1"
    assert options.dropped == ["key.serializer"]
    assert "key.serializer" not in options.client


def test_java_and_python_names_are_translated() -> None:
    known, dropped = translate_properties(
        {"max_in_flight_requests_per_connection": 5, "max.request.size": 10, "value_serializer": "x"}
    )
    assert known == {"max.in.flight.requests.per.connection": 5, "message.max.bytes": 10}
    assert dropped == ["value_serializer"]


def test_the_sample_file_works_and_keeps_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(config=SAMPLE).settings.kafka_bootstrap_servers == "localhost:9092"
    with pytest.raises(UsageError, match="MSK_BOOTSTRAP_SERVERS, which is not set"):
        resolve(config=SAMPLE, section="msk")
    for name in ("MSK_BOOTSTRAP_SERVERS", "MSK_USERNAME", "MSK_PASSWORD"):
        monkeypatch.setenv(name, f"{name}:9096")
    options = resolve(config=SAMPLE, section="msk")
    assert options.client["bootstrap.servers"] == "MSK_BOOTSTRAP_SERVERS:9096"
    assert options.client["sasl.password"] == "MSK_PASSWORD:9096"
    assert options.client["security.protocol"] == "SASL_SSL"
    # Every client of the run is let in, not the producer alone.
    assert client_config(options.settings)["sasl.password"] == "MSK_PASSWORD:9096"
    assert client_config(options.settings)["sasl.mechanism"] == "SCRAM-SHA-512"
    compat = resolve(config=SAMPLE, section="compat").client
    assert compat.items() >= {
        "acks": "all", "retries": 3, "max.in.flight.requests.per.connection": 5, "compression.type": "snappy",
        "batch.size": 16384, "linger.ms": 10, "queue.buffering.max.kbytes": 32768,
    }.items()  # fmt: skip


def test_a_password_in_the_environment_wins_over_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MSK_BOOTSTRAP_SERVERS", "MSK_USERNAME", "MSK_PASSWORD"):
        monkeypatch.setenv(name, f"{name}:9096")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "mine")
    assert resolve(config=SAMPLE, section="msk").client["sasl.password"] == "mine"


def test_yaml_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("local:\n  interval: 0.25\n  producer_profile: compat\n", encoding="utf-8")
    options = resolve(config=path)
    assert options.interval == 0.25
    assert options.client["retries"] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"config\.json:1: no valid JSON"),
        ("[]", "no section 'local'"),
        ('{"msk": {}}', "no section 'local'"),
        ('{"local": {"intervall": 1}}', "intervall"),
        ('{"local": {"producer_profile": "fast"}}', "producer_profile"),
    ],
)
def test_a_broken_file_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        resolve(config=path)


def test_values_that_are_not_allowed_name_their_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--interval -1"):
        resolve(interval=-1)
    with pytest.raises(UsageError, match=r"none\.json cannot be read"):
        resolve(config=tmp_path / "none.json")
    monkeypatch.setenv("PRODUCER_INTERVAL", "-1")
    with pytest.raises(SettingsError, match="PRODUCER_INTERVAL='-1'"):
        resolve()
