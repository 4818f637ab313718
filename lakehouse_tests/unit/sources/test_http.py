"""One question to an HTTP service that fails in every way a real one does."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from lakehouse.engine.circuit_notes import known_circuits
from lakehouse.errors import CircuitOpenError, SettingsError, SourceRefusedError, SourceUnavailableError
from lakehouse.kafka.client import client_config, spark_options
from lakehouse.settings import Settings, load_settings
from lakehouse.sources.http import Credentials, HttpClient, TimeLimits
from lakehouse.sources.raw_json import dump_json, parse_json
from lakehouse_tests.http_server import FaultyServer, Reply, serving
from lakehouse_tests.integration.kafka.certificates import Authority

QUICK = TimeLimits(connect=1, read=0.3, total=5)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(LAKEHOUSE_HOME=tmp_path)


def client(settings: Settings, server: FaultyServer, waits: list[float] | None = None, **options: Any) -> HttpClient:
    slept = [] if waits is None else waits
    return HttpClient(settings, server.url, **{"limits": QUICK, "sleep": slept.append, **options})


@pytest.mark.parametrize(
    "fault",
    [
        Reply(status=500),
        Reply(status=503),
        Reply({"price": "1.10"}, cut=8),
        Reply(b'{"price": 1.1'),
        Reply(b'{"price": NaN}'),
        Reply(silent=True),
    ],
    ids=["500", "503", "truncated body", "broken JSON", "NaN", "no answer"],
)
def test_a_passing_fault_costs_one_more_attempt_and_a_pause(settings: Settings, fault: Reply) -> None:
    waits: list[float] = []
    with serving(lambda _: Reply(b'{"price": 1.10}'), [fault]) as server, client(settings, server, waits) as api:
        assert dump_json(api.get("ticker").payload) == b'{"price":1.10}', "the digits are the service's own"
        assert len(server.requests) == 2
    assert len(waits) == 1
    assert 0.4 < waits[0] < 2


def test_pauses_grow_and_the_error_names_the_last_failure(settings: Settings) -> None:
    waits: list[float] = []
    with serving(lambda _: Reply(status=500)) as server, client(settings, server, waits, attempts=4) as api:
        with pytest.raises(SourceUnavailableError, match=r"in 4 attempts.*answers 500"):
            api.get()
        assert len(server.requests) == 4
    assert waits[0] < waits[1] < waits[2]


def test_too_many_requests_waits_as_long_as_it_is_asked_to(settings: Settings) -> None:
    waits: list[float] = []
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    faults = [Reply(status=429, headers={"Retry-After": "7"}), Reply(status=429, headers={"Retry-After": soon})]
    with serving(replies=faults) as server, client(settings, server, waits) as api:
        assert api.get().payload == []
    assert waits[0] == 7
    assert 25 < waits[1] <= 30
    assert known_circuits(settings) == [], "a service that asks for patience is there: no failure was counted"
    with (
        serving(replies=[Reply(status=429, headers={"Retry-After": "3600"})]) as server,
        client(settings, server) as api,
        pytest.raises(SourceUnavailableError, match="a pause of 3600 s"),
    ):
        api.get()


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
def test_a_refusal_is_not_repeated(settings: Settings, status: int) -> None:
    reply = Reply(status=status, headers={"Location": "http://127.0.0.1:1/"} if status == 301 else {})
    with serving(lambda _: reply) as server, client(settings, server) as api:
        with pytest.raises(SourceRefusedError, match=f"answers {status}"):
            api.get("secret")
        assert len(server.requests) == 1


def test_a_dead_service_is_left_alone_also_by_the_next_process(settings: Settings) -> None:
    with serving(lambda _: Reply(status=500)) as server:
        with client(settings, server, attempts=3) as api, pytest.raises(SourceUnavailableError):
            api.get()
        with client(settings, server, attempts=3) as api, pytest.raises(CircuitOpenError, match="left alone"):
            api.get()
        assert len(server.requests) == 5, "five failures in a row open the circuit"
        with client(settings, server) as api, pytest.raises(CircuitOpenError):
            api.get()
        assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("credentials", "header", "query"),
    [
        (Credentials(headers={"authorization": "Bearer s3"}), "Bearer s3", {}),
        (Credentials(basic=("ada", "s3")), "Basic YWRhOnMz", {}),
        (Credentials(params={"api_key": "s3"}), None, {"api_key": "s3"}),
    ],
)
def test_credentials_go_with_every_question_and_nowhere_else(
    settings: Settings, credentials: Credentials, header: str | None, query: dict[str, str]
) -> None:
    with serving() as server, serving() as other, client(settings, server, credentials=credentials) as api:
        api.get("a", {"page": 2})
        api.get(f"{server.url}/b?page=3")
        with pytest.raises(SourceRefusedError, match="sends us on"):
            api.get(f"{other.url}/c")
        first, second = server.requests
        assert (first.headers.get("authorization"), first.query) == (header, {"page": "2", **query})
        assert (second.headers.get("authorization"), second.query) == (header, {"page": "3", **query})
        assert other.requests == []
    assert "s3" not in repr(credentials)


def test_tls_is_checked_against_the_authority(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path, "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    with serving(certificate=authority.issue("server")) as server:
        with client(settings, server) as api:
            assert api.get().payload == []
        monkeypatch.setenv("SSL_CERT_FILE", str(Authority(tmp_path, "stranger").certificate))
        with client(settings, server) as api, pytest.raises(SourceRefusedError, match="cannot prove who it is"):
            api.get()


def test_required_tls_refuses_plain_text_that_leaves_the_machine(tmp_path: Path) -> None:
    strict = load_settings(
        LAKEHOUSE_HOME=tmp_path, LAKEHOUSE_REQUIRE_TLS=True, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9092,broker:9092"
    )
    with pytest.raises(SettingsError, match=r"http://api\.test would not be encrypted"):
        HttpClient(strict, "http://api.test/v1")
    for ask in (client_config, spark_options):
        with pytest.raises(SettingsError, match="Kafka at broker:9092"):
            ask(strict)
    HttpClient(strict, "https://api.test/v1").close()
    HttpClient(strict, "http://127.0.0.1:1/v1").close()
    encrypted = strict.model_copy(update={"kafka_security_protocol": "SSL"})
    assert client_config(encrypted)["security.protocol"] == "SSL"
    local = strict.model_copy(update={"kafka_bootstrap_servers": "localhost:9092"})
    assert client_config(local)["bootstrap.servers"] == "localhost:9092"


def test_numbers_keep_their_digits() -> None:
    text = '{"a":[1.10,1e-8,12345678901234567890.123456789,0.0],"b":{"c":null,"d":"ü\\n","e":true,"f":12}}'
    assert dump_json(parse_json(text.encode())).decode() == text
