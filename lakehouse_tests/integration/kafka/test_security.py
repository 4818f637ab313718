"""TLS, passwords and ACLs on a real broker: the whole path works with them, and refusals are typed and final."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer import Exit

from lakehouse.cli.produce import sales as produce_sales
from lakehouse.errors import AccessDeniedError
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.lake.drain import drain
from lakehouse.lake.verify import verify
from lakehouse.settings import PROJECT_ROOT, Settings
from lakehouse_tests.integration.kafka.certificates import Authority
from lakehouse_tests.integration.kafka.secured import CANARY, PASSWORD, SCRAM_USER, USER, SecuredBroker, secured_broker
from lakehouse_tests.streams import encode, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """One secured broker for the module."""
    with secured_broker(tmp_path_factory.mktemp("secured")) as started:
        yield started


def allow(broker: SecuredBroker, user: str, kind: str, name: str, *operations: str, remove: bool = False) -> None:
    """Grant a user operations on everything whose name begins so, or take them away."""
    from confluent_kafka.admin import (
        AclBinding,
        AclBindingFilter,
        AclOperation,
        AclPermissionType,
        AdminClient,
        ResourcePatternType,
        ResourceType,
    )

    admin = AdminClient({"bootstrap.servers": broker.plain})
    for operation in operations:
        where: tuple[Any, ...] = (ResourceType[kind], name, ResourcePatternType.PREFIXED, f"User:{user}", "*")
        what = (AclOperation[operation], AclPermissionType.ALLOW)
        if remove:
            done = admin.delete_acls([AclBindingFilter(*where, *what)])
        else:
            done = admin.create_acls([AclBinding(*where, *what)])
        for future in done.values():
            future.result(timeout=30)


def permit(broker: SecuredBroker, user: str) -> None:
    """What the runbook says that a user needs."""
    allow(broker, user, "TOPIC", "safe", "READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS")
    allow(broker, user, "GROUP", "lakehouse-", "READ", "DESCRIBE")


def test_a_stream_over_tls_with_password_and_acls(broker: SecuredBroker, stack: Settings, settings: Settings) -> None:
    contract = sales_on(broker.as_admin(), "safe_password")
    mine = broker.with_password()
    with pytest.raises(AccessDeniedError):
        read_topic_state(mine, contract.topic.name)
    permit(broker, "ada")
    sent = send(mine, contract.topic.name, [encode(sale(n)) for n in range(30)] + [b"{"])
    drain(contract, mine, budget_seconds=240, idle_seconds=0)
    report = verify(mine, [contract])
    assert report.findings == []
    assert report.proofs[0].bronze == sent

    # The worker may read, but no longer write dead letters: final, and silver waits.
    send(mine, contract.topic.name, [b"{"])
    allow(broker, "ada", "TOPIC", "safe", "WRITE", remove=True)
    with pytest.raises(AccessDeniedError, match=contract.topic.dlq) as refused:
        drain(contract, mine, budget_seconds=240, idle_seconds=0)
    assert not refused.value.retryable
    permit(broker, "ada")
    drain(contract, mine, budget_seconds=240, idle_seconds=0)
    assert verify(mine, [contract]).proofs[0].bronze == sent + 1

    # The lake with ops/events, the state folder, and what Spark logged of plans and refusals.
    kept = [*Path(settings.home).rglob("*"), *(stack.home / "logs").iterdir()]
    written = [path for path in kept if path.is_file()]
    assert any("_delta_log" in str(path) for path in written)
    assert any(path.name == "spark.log" and path.stat().st_size for path in written)
    assert [path for path in written if CANARY.encode() in path.read_bytes()] == []


def test_a_stream_over_mutual_tls(broker: SecuredBroker, settings: Settings) -> None:
    assert settings.home
    contract = sales_on(broker.as_admin(), "safe_certificate")
    permit(broker, "CN=lovelace")
    mine = broker.with_certificate()
    sent = send(mine, contract.topic.name, [encode(sale(n)) for n in range(10)])
    drain(contract, mine, budget_seconds=240, idle_seconds=0)
    report = verify(mine, [contract])
    assert report.findings == []
    assert report.proofs[0].bronze == sent


def test_a_stream_over_tls_with_scram(broker: SecuredBroker, settings: Settings) -> None:
    assert settings.home
    contract = sales_on(broker.as_admin(), "safe_scram")
    broker.add_scram_user()
    permit(broker, SCRAM_USER)
    sent = send(broker.with_scram("SCRAM-SHA-256"), contract.topic.name, [*(encode(sale(n)) for n in range(10)), b"{"])
    # Spark reads, the worker writes: the reject, to the dead-letter topic.
    mine = broker.with_scram("SCRAM-SHA-512")
    drain(contract, mine, budget_seconds=240, idle_seconds=0)
    report = verify(mine, [contract])
    assert report.findings == []
    assert (report.proofs[0].bronze, report.proofs[0].quarantined) == (sent, 1)
    with pytest.raises(AccessDeniedError, match=r"[Aa]uthentication"):
        read_topic_state(broker.with_scram("SCRAM-SHA-512", "guess"), contract.topic.name, timeout_seconds=5)


def test_a_wrong_password_or_authority_is_a_refusal_not_an_outage(broker: SecuredBroker, tmp_path: Path) -> None:
    sales_on(broker.as_admin(), "safe_refused")
    with pytest.raises(AccessDeniedError, match=r"[Aa]uthentication"):
        read_topic_state(broker.with_password("guess"), "safe_refused", timeout_seconds=5)
    stranger = Authority(tmp_path, "stranger")
    with pytest.raises(AccessDeniedError, match=r"[Cc]ertificate|SSL"):
        read_topic_state(broker.with_certificate(stranger.certificate), "safe_refused", timeout_seconds=5)


def test_the_msk_section_of_a_producer_file_is_let_in(
    broker: SecuredBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = sales_on(broker.as_admin(), "safe_msk")
    permit(broker, USER)
    for name, value in (("BOOTSTRAP_SERVERS", broker.sasl), ("USERNAME", USER), ("PASSWORD", PASSWORD)):
        monkeypatch.setenv(f"MSK_{name}", value)
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    section = json.loads((PROJECT_ROOT / "infra" / "kafka" / "producer_config.json").read_text(encoding="utf-8"))["msk"]
    section["producer"] |= {"sasl.mechanism": "PLAIN", "ssl.ca.location": str(broker.authority)}
    file = tmp_path / "producer.json"
    file.write_text(json.dumps({"msk": section}), encoding="utf-8")
    # The look before anything is sent is a client like any other: TLS and password.
    produce_sales(config=file, section="msk", topic=contract.topic.name, check=True, seed=1)
    assert "topic safe_msk exists" in capsys.readouterr().out
    with pytest.raises(Exit) as ended:
        produce_sales(config=file, section="msk", topic=contract.topic.name, count=40, burst=True, seed=1)
    assert ended.value.exit_code == 0
    assert sum(read_topic_state(broker.as_admin(), contract.topic.name).end.values()) == 40
    section["producer"]["sasl.password"] = "wrong"
    file.write_text(json.dumps({"msk": section}), encoding="utf-8")
    for check in (True, False):
        with pytest.raises(AccessDeniedError):
            produce_sales(config=file, section="msk", topic=contract.topic.name, count=1, seed=1, check=check)
