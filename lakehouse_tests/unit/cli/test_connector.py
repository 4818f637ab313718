"""`lakehouse connector` against a stub of Connect's REST interface that remembers what it was told."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from lakehouse.cli.connector import app
from lakehouse.cli.health import ask_connect
from lakehouse.errors import EXIT_UNHEALTHY, UsageError
from lakehouse.kafka.connect import ConnectorFailedError, ConnectUnreachableError
from lakehouse.settings import load_settings

CDC = "postgres-cdc-connector"
run = CliRunner()


class Stub(BaseHTTPRequestHandler):
    """Just enough of Kafka Connect: configurations, states, one rebalance."""

    configs: ClassVar[dict[str, dict[str, str]]] = {}
    states: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[str]] = []
    busy: ClassVar[list[int]] = []

    def handle_any(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        if self.command != "GET" and self.busy:
            self.busy.pop()
            self.answer(409, {"error_code": 409, "message": "rebalance in progress"})
            return
        self.answer(*self.outcome(self.path.partition("?")[0].strip("/").split("/"), body))

    do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - names of the base

    def outcome(self, parts: list[str], body: Any) -> tuple[int, Any]:
        if parts == ["connectors"]:
            return 200, list(self.configs)
        name, verb = parts[1], parts[2] if len(parts) > 2 else ""
        if verb == "config" and self.command == "PUT":
            if body.get("plugin.name") == "wrong":
                return 400, {"message": "plugin.name: wrong is not allowed"}
            self.configs[name] = {"name": name, **body}
            self.states[name] = "FAILED" if body.get("database.port") == "1" else "RUNNING"
            return 201, {}
        if name not in self.configs:
            return 404, {"message": f"No status found for connector {name}"}
        if verb == "config":
            return 200, self.configs[name]
        if verb == "status":
            task = {"id": 0, "state": self.states[name]}
            if self.states[name] == "FAILED":
                task["trace"] = "org.x.ConnectException: no route\n\tat org.x.Y\nCaused by: refused"
            state = self.states[name] if self.states[name] != "FAILED" else "RUNNING"
            return 200, {"name": name, "connector": {"state": state}, "tasks": [task]}
        if verb in ("pause", "resume", "restart"):
            self.states[name] = "PAUSED" if verb == "pause" else "RUNNING"
            return 202, None
        del self.configs[name]
        return 204, None

    def answer(self, code: int, body: Any) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Stub]]:
    for remembered in (Stub.configs, Stub.states, Stub.asked, Stub.busy):
        remembered.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("KAFKA_CONNECT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("LAKEHOUSE_SOURCE_URL", "postgresql://owner:hunter2@db.internal:6543/shop")
    try:
        yield Stub
    finally:
        server.shutdown()
        server.server_close()


def test_the_life_of_a_connector(stub: type[Stub]) -> None:
    stub.busy.append(1)
    first = run.invoke(app, ["deploy"])
    assert (first.exit_code, first.stdout) == (0, f"{CDC}: deployed, RUNNING\n"), first.output
    config = stub.configs[CDC]
    assert (config["database.hostname"], config["database.port"], config["database.dbname"]) == (
        "db.internal", "6543", "shop",
    )  # fmt: skip
    assert config["database.password"] == "${env:POSTGRES_CDC_PASSWORD}"
    assert "hunter2" not in str(stub.configs)
    assert "already deployed" in run.invoke(app, ["deploy"]).stdout
    assert "deployed, RUNNING" in run.invoke(app, ["deploy", "--set", "snapshot.mode=no_data"]).stdout
    assert stub.configs[CDC]["snapshot.mode"] == "no_data"

    assert run.invoke(app, ["pause"]).stdout == f"{CDC}: paused\n"
    (found,) = json.loads(run.invoke(app, ["status", "--json"]).stdout)
    assert (found["name"], found["state"], found["tasks"]) == (CDC, "PAUSED", ["PAUSED"])
    assert run.invoke(app, ["resume"]).stdout == f"{CDC}: RUNNING\n"
    assert run.invoke(app, ["restart"]).exit_code == 0
    assert stub.asked[-1] == f"POST /connectors/{CDC}/restart?includeTasks=true&onlyFailed=true"

    assert isinstance(run.invoke(app, ["delete", CDC]).exception, UsageError)
    assert CDC in stub.configs
    assert run.invoke(app, ["delete", CDC, "--yes"]).exit_code == 0
    assert stub.configs == {}
    missing = run.invoke(app, ["pause", CDC]).exception
    assert isinstance(missing, UsageError)
    assert "no connector" in str(missing)


def test_a_failed_task_is_told_with_its_cause(stub: type[Stub], tmp_path: Path) -> None:
    failed = run.invoke(app, ["deploy", "--set", "database.port=1"]).exception
    assert isinstance(failed, ConnectorFailedError)
    assert "Caused by: refused" in failed.why
    status = run.invoke(app, ["status"])
    assert status.exit_code == EXIT_UNHEALTHY
    (health,) = ask_connect(load_settings())
    assert (health.state, "refused" in health.detail) == ("unhealthy", True)
    log = tmp_path / "logs" / "connect.log"
    log.parent.mkdir()
    log.write_text("".join(f"line {n} of {CDC if n % 2 else 'another'}\n" for n in range(100)), encoding="utf-8")
    told = run.invoke(app, ["logs", CDC, "--lines", "2"]).stdout.splitlines()
    assert told[-2:] == [f"line 97 of {CDC}", f"line 99 of {CDC}"]
    assert any("no route" in line for line in told)
    run.invoke(app, ["restart"])
    assert ask_connect(load_settings())[0].state == "healthy"


def test_what_connect_refuses_and_when_it_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = run.invoke(app, ["deploy", "--set", "plugin.name=wrong"]).exception
    assert isinstance(refused, UsageError)
    assert "wrong is not allowed" in refused.why
    assert isinstance(run.invoke(app, ["deploy", "--set", "nonsense"]).exception, UsageError)
    monkeypatch.setenv("KAFKA_CONNECT_URL", "http://127.0.0.1:1")
    assert isinstance(run.invoke(app, ["status"]).exception, ConnectUnreachableError)
    monkeypatch.delenv("KAFKA_CONNECT_URL")
    assert isinstance(run.invoke(app, ["status"]).exception, UsageError)
