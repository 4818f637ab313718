"""Kafka's .properties files as Java reads them, and what a producer makes of one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import UsageError
from lakehouse.kafka.client import client_config
from lakehouse.sources.config import resolve
from lakehouse.sources.properties import read_properties

TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=12)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "kafka.properties"
    path.write_text(text, encoding="utf-8")
    return path


def escaped(text: str) -> str:
    """As java.util.Properties.store writes it."""
    return "".join(f"\\{letter}" if letter in "\\=: #!" else f"\\u{ord(letter):04x}" if ord(letter) > 126 else letter
                   for letter in text)  # fmt: skip


@given(properties=st.dictionaries(TEXT.filter(lambda name: name and all(ord(x) < 65536 for x in name)),
                                  TEXT.filter(lambda value: all(ord(x) < 65536 for x in value))))  # fmt: skip
def test_what_java_writes_is_read(properties: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    lines = [f"{escaped(name)}={escaped(value)}" for name, value in properties.items()]
    path = written(tmp_path_factory.mktemp("java"), "# made by hand\n" + "\n".join(lines) + "\n")
    properties.pop("sasl.jaas.config", None)
    assert read_properties(path) == properties


def test_every_way_to_write_a_property(tmp_path: Path) -> None:
    text = "! note\n\n  a = 1 \n b:2\nc 3\nd\ne=one,\\\n    two\nf=back\\\\\ng=\\u00e9\na=4\n#h=1 \\\ni=5"
    assert read_properties(written(tmp_path, text)) == {
        "a": "4", "b": "2", "c": "3", "d": "", "e": "one,two", "f": "back\\", "g": "é", "i": "5",
    }  # fmt: skip
    for bad, said in (("=1", r"kafka\.properties:1: no property name"), ("\nx=\\u12", r":2: \\u needs four")):
        with pytest.raises(UsageError, match=said):
            read_properties(written(tmp_path, bad))


def test_a_producer_runs_with_an_existing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_TOPIC", "KAFKA_SASL_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("QUEUE_PASSWORD", "s3")
    path = written(
        tmp_path,
        """
bootstrap.servers=one:9092,two:9092
security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\
    username="ada" password="${QUEUE_PASSWORD}";
linger.ms=77
key.serializer=org.apache.kafka.common.serialization.StringSerializer
value.deserializer=org.apache.kafka.common.serialization.StringDeserializer
ssl.truststore.location=/etc/kafka/trust.jks
group.id=market-data-consumers
auto.offset.reset=latest
""",
    )
    options = resolve(config=path)
    assert options.settings.kafka_bootstrap_servers == "one:9092,two:9092"
    assert options.client["linger.ms"] == "77"
    assert client_config(options.settings).items() >= {
        "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "ada",
        "sasl.password": "s3",
    }.items()  # fmt: skip
    assert options.dropped == [
        "key.serializer", "value.deserializer", "ssl.truststore.location", "group.id", "auto.offset.reset",
    ]  # fmt: skip
    from confluent_kafka import Producer

    # librdkafka takes every property that is left.
    Producer(options.client)
    with pytest.raises(UsageError, match="no section 'msk'"):
        resolve(config=path, section="msk")
    with pytest.raises(UsageError, match="names no username"):
        resolve(config=written(tmp_path, "sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required;"))
