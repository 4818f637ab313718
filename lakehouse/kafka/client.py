"""How every part of the project connects to Kafka: client settings, reachability, what a broker's error means.

Here: settings for librdkafka and for Spark's Kafka source and sink, and typed errors. Not here: topics
(`kafka.topics`), offsets (`kafka.offsets`), sending events (`sources.producer`).
"""

import socket
import time
from typing import TYPE_CHECKING, Literal

from lakehouse.errors import AccessDeniedError, BrokerUnreachableError, LakehouseError, TopicMissingError, UsageError
from lakehouse.kafka.security import librdkafka_security, spark_security
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

ProducerProfile = Literal["default", "compat"]

# librdkafka writes to stderr on its own (refused connections, unknown topics). Those failures reach the user as typed
# errors, once; level 0 leaves only "the process cannot go on".
_SILENT = 0
_REFUSAL_SECONDS = 5.0

PRODUCER_PROFILES: dict[ProducerProfile, dict[str, object]] = {
    # No duplicates and no reordering by retries; delivery is tried for two minutes, then the message counts as failed.
    "default": {
        "acks": "all",
        "enable.idempotence": True,
        "max.in.flight.requests.per.connection": 5,
        "retries": 2147483647,
        "retry.backoff.ms": 100,
        "retry.backoff.max.ms": 1000,
        "delivery.timeout.ms": 120_000,
        "compression.type": "snappy",
        "linger.ms": 10,
        "batch.num.messages": 10_000,
        "queue.buffering.max.messages": 200_000,
        "queue.buffering.max.kbytes": 262_144,
    },
    # The first system's values, for comparison. Three retries without idempotence may double or reorder messages.
    "compat": {
        "acks": "all",
        "enable.idempotence": False,
        "max.in.flight.requests.per.connection": 5,
        "retries": 3,
        "retry.backoff.ms": 100,
        "retry.backoff.max.ms": 1000,
        "compression.type": "snappy",
        "batch.size": 16_384,
        "linger.ms": 10,
        # Java's buffer.memory=33554432 bytes; librdkafka counts in KiB and rejects Java's name.
        "queue.buffering.max.kbytes": 32_768,
    },
}


def client_config(settings: Settings, **overrides: object) -> dict[str, object]:
    """Settings that every librdkafka client of the project starts from.

    Args:
        settings: Where the brokers are.
        overrides: librdkafka properties with `_` for `.`: `group_id="x"` becomes `group.id`.
    """
    config: dict[str, object] = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "client.id": "lakehouse",
        "log_level": _SILENT,
        "socket.connection.setup.timeout.ms": 5_000,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
    }
    config |= librdkafka_security(settings)
    config.update({name.replace("_", "."): value for name, value in overrides.items()})
    return config


def producer_config(settings: Settings, profile: ProducerProfile = "default") -> dict[str, object]:
    """Settings of a producer.

    Raises:
        UsageError: for a profile that does not exist.
    """
    if profile not in PRODUCER_PROFILES:
        allowed = ", ".join(PRODUCER_PROFILES)
        raise UsageError(f"There is no producer profile {profile!r}.", fix=f"Use one of: {allowed}.")
    return client_config(settings) | PRODUCER_PROFILES[profile]


def spark_options(settings: Settings) -> dict[str, str]:
    """Connection options of Spark's Kafka source and sink; tuning belongs to the reader or writer."""
    return {"kafka.bootstrap.servers": settings.kafka_bootstrap_servers, **spark_security(settings)}


def admin_client(settings: Settings, *, timeout_seconds: float = 10) -> "AdminClient":
    """An admin client for a cluster that answers.

    Raises:
        BrokerUnreachableError: when none of the configured addresses accepts a connection.
    """
    from confluent_kafka.admin import AdminClient

    require_reachable(settings, timeout_seconds=timeout_seconds)
    return AdminClient(client_config(settings))


def require_reachable(settings: Settings, *, timeout_seconds: float = 5) -> None:
    """Open a connection to one of the brokers and close it again: a refusal is known in milliseconds.

    Raises:
        BrokerUnreachableError: naming each address and what happened there.
        UsageError: when an address is no host:port.
    """
    deadline = time.monotonic() + timeout_seconds
    failures = []
    for address in addresses(settings):
        try:
            with socket.create_connection(address, timeout=max(0.1, deadline - time.monotonic())):
                return
        except OSError as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else (error.strerror or str(error))
            failures.append(f"{address[0]}:{address[1]}: {reason[:1].lower()}{reason[1:]}")
    raise unreachable(settings, why="; ".join(failures) + ".")


def addresses(settings: Settings) -> list[tuple[str, int]]:
    """The configured brokers as (host, port).

    Raises:
        UsageError: when an entry is no host:port.
    """
    found = []
    for entry in settings.kafka_bootstrap_servers.split(","):
        host, _, port = entry.strip().rpartition(":")
        if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
            raise UsageError(
                f"KAFKA_BOOTSTRAP_SERVERS has {entry.strip()!r}, which is no host:port.",
                fix="Write brokers as host:port, comma-separated, for example localhost:9092.",
            )
        found.append((host.strip("[]"), int(port)))
    return found


def unreachable(settings: Settings, *, why: str = "") -> BrokerUnreachableError:
    """The error for a cluster that does not answer."""
    return BrokerUnreachableError(
        f"No Kafka broker answers at {settings.kafka_bootstrap_servers}.",
        why=why,
        fix="Start the embedded one with `lakehouse up`, or set KAFKA_BOOTSTRAP_SERVERS to a running cluster.",
    )


def translate(error: "KafkaException", settings: Settings, *, doing: str, topic: str = "") -> LakehouseError:
    """The typed error for what a broker or librdkafka answered.

    Args:
        error: As raised by confluent-kafka.
        settings: For the address in the message.
        doing: What was tried, as in "reading the offsets of sales_events".
        topic: The topic concerned, when there is one.
    """
    from confluent_kafka import KafkaError

    cause = error.args[0]
    refusals = {
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
    if cause.code() in refusals:
        return access_denied(f"While {doing}: {cause.str()}.")
    silent_network = {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.BROKER_NOT_AVAILABLE,
    }
    if cause.code() in silent_network:
        refused = _refusal(settings)
        if refused:
            return access_denied(refused)
        return unreachable(settings, why=f"While {doing}: {cause.str()}.")
    if cause.code() in leaderless_codes():
        return unreachable(settings, why=f"While {doing}: {cause.str().rstrip('.')}.")
    if topic and cause.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}:
        return topic_missing(topic, [])
    return LakehouseError(
        f"Kafka refused while {doing}: {cause.str().rstrip('.')} ({cause.name()}).",
        fix="Check the topic's settings with `lakehouse topics describe` and the broker's log.",
    )


def leaderless_codes() -> set[int]:
    """What is said of partitions that no broker leads: one has just come back and none is elected yet, or one is gone.

    The first is librdkafka's own, when it finds a leader for none of the partitions asked about.
    """
    from confluent_kafka import KafkaError

    return {KafkaError._NOENT, KafkaError.LEADER_NOT_AVAILABLE}


def _refusal(settings: Settings) -> str:
    """Why the brokers do not let us in; empty when they do, or are not there.

    A client that is refused only times out; the reason goes to its error callback, which nobody else listens to.
    """
    if settings.kafka_security_protocol == "PLAINTEXT":
        return ""
    from confluent_kafka import KafkaError, Producer

    said: list[KafkaError] = []
    probe = Producer(client_config(settings) | {"error_cb": said.append})
    deadline = time.monotonic() + _REFUSAL_SECONDS
    while time.monotonic() < deadline:
        probe.poll(0.1)
        for error in said:
            if error.code() in {KafkaError._AUTHENTICATION, KafkaError._SSL}:
                return str(error.str())
    return ""


def access_denied(why: str) -> AccessDeniedError:
    """The error for a broker that does not let us in, or not do this."""
    return AccessDeniedError(
        "Kafka denies access.",
        why=why,
        fix="Check KAFKA_SECURITY_PROTOCOL, user, certificates and ACLs (docs/runbooks/ACCESS_DENIED.md).",
    )


def topic_missing(topic: str, known: list[str]) -> TopicMissingError:
    """The error for a topic that does not exist; names the nearest of `known`."""
    import difflib

    near = difflib.get_close_matches(topic, known, n=1)
    hint = f"Did you mean {near[0]!r}? Else create it" if near else "Create it"
    return TopicMissingError(
        f"There is no topic {topic!r} on the broker.",
        fix=f"{hint}: `lakehouse topics apply` makes every topic of the contracts.",
    )
