"""Security settings: what fits together, what each client gets, what a file may not set."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import SettingsError, UsageError
from lakehouse.kafka.client import client_config, spark_options
from lakehouse.kafka.security import require_allowed
from lakehouse.settings import load_settings


def test_plain_text_is_the_default_and_adds_nothing() -> None:
    settings = load_settings()
    assert "security.protocol" not in client_config(settings)
    assert set(spark_options(settings)) == {"kafka.bootstrap.servers"}


@pytest.mark.parametrize(
    ("given_settings", "named"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_SASL_USERNAME"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA": Path("/no/such.pem")}, "KAFKA_SSL_CA"),
        ({"KAFKA_SSL_KEY": Path("/no/key.pem")}, "KAFKA_SSL_CERTIFICATE"),
    ],
)
def test_settings_that_do_not_fit_together_are_named(given_settings: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        client_config(load_settings(**given_settings))


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20))
def test_a_password_cannot_leave_its_quotes(password: str) -> None:
    settings = load_settings(
        KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT", KAFKA_SASL_USERNAME="ada", KAFKA_SASL_PASSWORD=password
    )
    jaas = spark_options(settings)["kafka.sasl.jaas.config"]
    inside = jaas.split("password=", 1)[1]
    assert inside.startswith('"')
    assert inside.endswith('";')
    assert inside[1:-2].replace("\\\\", "").replace('\\"', "").count('"') == 0
    assert "kafka_sasl_password=SecretStr('**********')" in repr(settings)


def test_a_file_may_not_load_code_into_the_client() -> None:
    require_allowed({"linger.ms": 5}, "--config x.json")
    with pytest.raises(UsageError, match=r"plugin\.library\.paths"):
        require_allowed({"linger.ms": 5, "plugin.library.paths": "/tmp/evil.so"}, "--config x.json")  # noqa: S108
