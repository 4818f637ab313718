"""TLS and SASL towards Kafka, from the environment: the same settings for librdkafka and for Spark's Kafka client.

Here: translating settings, checking that they fit together, which client properties a file may set. Not here: settings
themselves. Passwords and keys come from the environment or from files that it names; they are never in the repository.
"""

from pathlib import Path

from lakehouse.engine.encryption import require_encrypted
from lakehouse.errors import SettingsError, UsageError
from lakehouse.settings import Settings

_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
# What a --config file may set: pace, sizes, retries and security. Everything else is ours to decide, and some
# properties of librdkafka load code (plugin.library.paths, ssl.engine.location).
_ALLOWED = {
    "acks",
    "batch.num.messages",
    "batch.size",
    "client.id",
    "compression.codec",
    "compression.level",
    "compression.type",
    "delivery.timeout.ms",
    "enable.idempotence",
    "linger.ms",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "message.timeout.ms",
    "partitioner",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "request.required.acks",
    "request.timeout.ms",
    "retries",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "sticky.partitioning.linger.ms",
}


def librdkafka_security(settings: Settings) -> dict[str, object]:
    """Properties for confluent-kafka clients; empty for a broker in plain text.

    Raises:
        SettingsError: settings that do not fit together, or a file that is not there.
    """
    _require_consistent(settings)
    if settings.kafka_security_protocol == "PLAINTEXT":
        return {}
    config: dict[str, object] = {"security.protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.startswith("SASL"):
        config |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.username": settings.kafka_sasl_username,
            "sasl.password": _secret(settings, "kafka_sasl_password"),
        }
    if settings.kafka_security_protocol.endswith("SSL"):
        files = {
            "ssl.ca.location": settings.kafka_ssl_ca,
            "ssl.certificate.location": settings.kafka_ssl_certificate,
            "ssl.key.location": settings.kafka_ssl_key,
        }
        config |= {name: str(path) for name, path in files.items() if path is not None}
        if settings.kafka_ssl_key_password is not None:
            config["ssl.key.password"] = settings.kafka_ssl_key_password.get_secret_value()
    return config


def spark_security(settings: Settings) -> dict[str, str]:
    """Options for Spark's Kafka source and sink. Certificates go along as text: a remote server has not our files.

    Raises as `librdkafka_security`.
    """
    _require_consistent(settings)
    if settings.kafka_security_protocol == "PLAINTEXT":
        return {}
    options: dict[str, str] = {"kafka.security.protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.startswith("SASL"):
        user, password = _quoted(settings.kafka_sasl_username or ""), _quoted(_secret(settings, "kafka_sasl_password"))
        module = _MODULES[settings.kafka_sasl_mechanism]
        options["kafka.sasl.mechanism"] = settings.kafka_sasl_mechanism
        options["kafka.sasl.jaas.config"] = f"{module} required username={user} password={password};"
    if settings.kafka_security_protocol.endswith("SSL"):
        if settings.kafka_ssl_ca is not None:
            options["kafka.ssl.truststore.type"] = "PEM"
            options["kafka.ssl.truststore.certificates"] = _text(settings.kafka_ssl_ca)
        if settings.kafka_ssl_certificate is not None and settings.kafka_ssl_key is not None:
            options["kafka.ssl.keystore.type"] = "PEM"
            options["kafka.ssl.keystore.certificate.chain"] = _text(settings.kafka_ssl_certificate)
            options["kafka.ssl.keystore.key"] = _text(settings.kafka_ssl_key)
        if settings.kafka_ssl_key_password is not None:
            options["kafka.ssl.key.password"] = settings.kafka_ssl_key_password.get_secret_value()
    return options


def require_allowed(properties: dict[str, object], where: str) -> None:
    """Refuse client properties that a file must not set.

    Raises:
        UsageError: names them.
    """
    refused = sorted(set(properties) - _ALLOWED)
    if refused:
        raise UsageError(
            f"{where} sets {', '.join(refused)}, which a file may not.",
            why="Only pace, sizes, retries and security can be set from outside.",
            fix=f"Remove it. Allowed: {', '.join(sorted(_ALLOWED))}.",
        )


def _require_consistent(settings: Settings) -> None:
    protocol = settings.kafka_security_protocol
    if protocol.startswith("SASL") and not (settings.kafka_sasl_username and settings.kafka_sasl_password):
        raise SettingsError(
            f"KAFKA_SECURITY_PROTOCOL is {protocol}, but there is no user or password.",
            fix="Set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD.",
        )
    if (settings.kafka_ssl_certificate is None) != (settings.kafka_ssl_key is None):
        raise SettingsError(
            "KAFKA_SSL_CERTIFICATE and KAFKA_SSL_KEY belong together, and only one of them is set.",
            fix="Set both for mutual TLS, none otherwise.",
        )
    for server in settings.kafka_bootstrap_servers.split(","):
        require_encrypted(
            settings,
            what=f"Kafka at {server.strip()}",
            host=server.strip().rpartition(":")[0],
            is_encrypted=protocol.endswith("SSL"),
            fix="Set KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL.",
        )
    if not protocol.endswith("SSL"):
        return
    for name in ("kafka_ssl_ca", "kafka_ssl_certificate", "kafka_ssl_key"):
        path: Path | None = getattr(settings, name)
        if path is not None and not path.is_file():
            raise SettingsError(f"{name.upper()} names {path}, which is no file.", fix="Correct the path.")


def _secret(settings: Settings, name: str) -> str:
    return str(getattr(settings, name).get_secret_value())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
