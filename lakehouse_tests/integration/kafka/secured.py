"""A broker of a test's own with TLS, passwords and ACLs. Here: its files and its process. Not here: any assertion."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lakehouse.engine.embedded import java, kafka, ports
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.integration.kafka.certificates import Authority

# However it is escaped on its way (JSON, JAAS), the canary in it stays as it is.
CANARY = "canary7f3aQx81LmZk"
USER, PASSWORD = "ada", f'a "{CANARY}" \\ 9c'
SCRAM_USER = "grace"


@dataclass(frozen=True)
class SecuredBroker:
    """Addresses of its three doors; the plain one is the administrator's."""

    plain: str
    sasl: str
    tls: str
    authority: Path
    certificate: Path
    key: Path

    def as_admin(self) -> Settings:
        """Everything is allowed."""
        return load_settings(KAFKA_BOOTSTRAP_SERVERS=self.plain)

    def with_password(self, password: str = PASSWORD) -> Settings:
        """SASL_SSL as `ada`, who may do what her ACLs say."""
        return load_settings(
            KAFKA_BOOTSTRAP_SERVERS=self.sasl,
            KAFKA_SECURITY_PROTOCOL="SASL_SSL",
            KAFKA_SASL_MECHANISM="PLAIN",
            KAFKA_SASL_USERNAME=USER,
            KAFKA_SASL_PASSWORD=password,
            KAFKA_SSL_CA=self.authority,
        )

    def with_scram(self, mechanism: str, password: str = PASSWORD) -> Settings:
        """SASL_SSL as `grace`, whose password the broker does not know; only she can prove that she does."""
        return load_settings(
            KAFKA_BOOTSTRAP_SERVERS=self.sasl,
            KAFKA_SECURITY_PROTOCOL="SASL_SSL",
            KAFKA_SASL_MECHANISM=mechanism,
            KAFKA_SASL_USERNAME=SCRAM_USER,
            KAFKA_SASL_PASSWORD=password,
            KAFKA_SSL_CA=self.authority,
        )

    def add_scram_user(self) -> None:
        """Let `grace` in by both mechanisms."""
        from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

        admin = AdminClient({"bootstrap.servers": self.plain})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            credential = ScramCredentialInfo(mechanism, 4_096)
            wanted = UserScramCredentialUpsertion(SCRAM_USER, credential, PASSWORD.encode())
            for future in admin.alter_user_scram_credentials([wanted]).values():
                future.result(timeout=30)

    def with_certificate(self, authority: Path | None = None) -> Settings:
        """Mutual TLS as `CN=lovelace`."""
        return load_settings(
            KAFKA_BOOTSTRAP_SERVERS=self.tls,
            KAFKA_SECURITY_PROTOCOL="SSL",
            KAFKA_SSL_CA=authority or self.authority,
            KAFKA_SSL_CERTIFICATE=self.certificate,
            KAFKA_SSL_KEY=self.key,
        )


@contextmanager
def secured_broker(folder: Path) -> Iterator[SecuredBroker]:
    """Start one; it ends with the block."""
    taken: set[int] = set()
    for _ in range(4):
        taken.add(ports.any_free(taken))
    plain, sasl, tls, controller = sorted(taken)
    authority = Authority(folder, "authority")
    broker_certificate, broker_key = authority.issue("broker")
    keystore = folder / "broker.pem"
    keystore.write_text(broker_key.read_text() + broker_certificate.read_text())
    certificate, key = authority.issue("lovelace")
    settings = load_settings(LAKEHOUSE_HOME=folder / "broker", LAKEHOUSE_KAFKA_MEMORY="256m")
    spec = kafka.prepare(settings, java.find_java(settings), plain, controller)
    _secure(Path(spec.command[-1]), plain, sasl, tls, controller, keystore, authority.certificate)
    with (folder / "broker.out").open("wb") as output:
        process = subprocess.Popen(
            spec.command, cwd=spec.cwd, env={**os.environ, **spec.env}, stdout=output, stderr=output
        )
    try:
        _wait_until_it_answers(spec.url)
        host = "127.0.0.1"
        yield SecuredBroker(
            f"{host}:{plain}", f"{host}:{sasl}", f"{host}:{tls}", authority.certificate, certificate, key
        )
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        finally:
            process.kill()


def _secure(config: Path, plain: int, sasl: int, tls: int, controller: int, keystore: Path, authority: Path) -> None:
    doors = f"PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{sasl},SSL://127.0.0.1:{tls}"
    password = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    jaas = f'{module} required user_{USER}="{password}";'.replace("\\", "\\\\")
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    values = {
        "listeners": f"{doors},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": doors,
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority),
        "listener.name.ssl.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": jaas,
        "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": scram,
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    kept = [line for line in config.read_text().splitlines() if line.partition("=")[0] not in values]
    config.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in values.items())]) + "\n")


def _wait_until_it_answers(url: str) -> None:
    from tenacity import Retrying, stop_after_delay, wait_fixed

    for attempt in Retrying(stop=stop_after_delay(90), wait=wait_fixed(0.2), reraise=True):
        with attempt:
            kafka.ask(url, 5)
