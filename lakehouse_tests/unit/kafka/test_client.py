"""Client settings as the requirements fix them, and errors that come fast and name what to do."""

import time
from typing import Any

import pytest

from lakehouse.errors import BrokerUnreachableError, UsageError
from lakehouse.kafka.client import addresses, client_config, producer_config, require_reachable
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.settings import Settings, load_settings


@pytest.fixture
def nowhere() -> Settings:
    return load_settings(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")


def test_the_default_producer_is_idempotent(nowhere: Settings) -> None:
    config = producer_config(nowhere)
    assert config["acks"] == "all"
    assert config["enable.idempotence"] is True
    assert config["max.in.flight.requests.per.connection"] == 5
    assert config["retries"] == 2147483647


def test_compat_has_the_first_systems_values(nowhere: Settings) -> None:
    config = producer_config(nowhere, "compat")
    wanted = {
        "acks": "all",
        "retries": 3,
        "max.in.flight.requests.per.connection": 5,
        "compression.type": "snappy",
        "batch.size": 16384,
        "linger.ms": 10,
        "queue.buffering.max.kbytes": 32768,
        "enable.idempotence": False,
    }
    assert wanted.items() <= config.items()
    assert config["retry.backoff.max.ms"] > config["retry.backoff.ms"]  # type: ignore[operator] # exponential
    assert "buffer.memory" not in config


@pytest.mark.parametrize("profile", ["default", "compat"])
def test_librdkafka_accepts_the_profile_and_stays_silent(
    nowhere: Settings, profile: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    from confluent_kafka import Producer

    producer = Producer(producer_config(nowhere, profile))
    producer.produce("t", b"x")
    producer.flush(0.5)
    producer.purge()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("bad", [{"max.in.flight.requests.per.connection": 6}, {"acks": "1"}])
def test_librdkafka_refuses_what_breaks_idempotence(nowhere: Settings, bad: dict[str, object]) -> None:
    from confluent_kafka import KafkaException, Producer

    with pytest.raises(KafkaException, match="idempotence"):
        Producer(producer_config(nowhere) | bad)


def test_an_unknown_profile_names_the_known_ones(nowhere: Settings) -> None:
    with pytest.raises(UsageError, match="default, compat"):
        producer_config(nowhere, "fast")  # type: ignore[arg-type]


def test_overrides_are_librdkafka_properties(nowhere: Settings) -> None:
    assert client_config(nowhere, group_id="g")["group.id"] == "g"


def test_an_unreachable_broker_is_known_at_once_with_address_and_fix() -> None:
    settings = load_settings(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1,localhost:2")
    started = time.monotonic()
    with pytest.raises(BrokerUnreachableError) as caught:
        read_topic_state(settings, "sales_events")
    assert time.monotonic() - started < 9
    assert "127.0.0.1:1: connection refused; localhost:2: connection refused" in caught.value.why
    assert "lakehouse up" in caught.value.fix
    assert "KAFKA_BOOTSTRAP_SERVERS" in caught.value.fix


def test_a_host_that_does_not_exist_is_named() -> None:
    with pytest.raises(BrokerUnreachableError, match=r"nowhere\.invalid:9092"):
        require_reachable(load_settings(KAFKA_BOOTSTRAP_SERVERS="nowhere.invalid:9092"))


@pytest.mark.parametrize("entry", ["localhost", "localhost:", ":9092", "localhost:x", "localhost:70000", "a:1,,b:2"])
def test_what_is_no_address_is_refused(entry: str) -> None:
    with pytest.raises(UsageError, match="host:port"):
        addresses(load_settings(KAFKA_BOOTSTRAP_SERVERS=entry))


def test_several_brokers_and_ipv6() -> None:
    settings = load_settings(KAFKA_BOOTSTRAP_SERVERS="broker1:9092, [::1]:9093")
    assert addresses(settings) == [("broker1", 9092), ("::1", 9093)]
