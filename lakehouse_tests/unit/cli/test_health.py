"""`lakehouse health` with nothing there: unhealthy is 10, absent is no fault, and the answer is one JSON object."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from lakehouse.cli import health
from lakehouse.settings import load_settings

run = CliRunner()


@pytest.fixture
def nothing_there(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.5)
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{closed}")
    monkeypatch.setenv("SPARK_REMOTE", f"sc://127.0.0.1:{closed}")
    return closed


def test_unhealthy_is_ten_and_names_the_next_command(nothing_there):
    result = run.invoke(health.app, ["--json"])
    parts = {part["name"]: part for part in json.loads(result.stdout)["parts"]}
    assert result.exit_code == 10
    assert parts["kafka"]["state"] == parts["spark"]["state"] == "unhealthy"
    assert "lakehouse up" in parts["spark"]["fix"]
    assert parts["lake"]["state"] == parts["gold"]["state"] == "absent"
    assert "dagster" not in parts


def test_configured_dagster_that_does_not_answer_is_unhealthy(nothing_there, monkeypatch):
    monkeypatch.setenv("DAGSTER_URL", f"http://127.0.0.1:{nothing_there}")
    (part,) = health.ask_dagster(load_settings())
    assert part.state == "unhealthy"


class _Webserver(BaseHTTPRequestHandler):
    """Answers as Dagster's webserver does when a stream's YAML is wrong: the daemons beat, no definition is loaded."""

    def do_GET(self):
        self.answer({})

    def do_POST(self):
        query = self.rfile.read(int(self.headers["Content-Length"])).decode()
        links = ("DagsterUserCodeLoadError: loading", "ValidationError: `mode at\n  defs.yaml:13`\n  Input should be")
        error = {"message": "no definitions", "errorChain": [{"error": {"message": text}} for text in links]}
        self.answer(
            {"instance": {"daemonHealth": {"allDaemonStatuses": []}}}
            if "daemonHealth" in query
            else {"workspaceOrError": {"locationEntries": [{"locationOrLoadError": error}]}}
        )

    def answer(self, data):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": data}).encode())

    def log_message(self, *_):
        pass


def test_definitions_that_do_not_load_are_named_by_their_first_cause(nothing_there, monkeypatch):
    with HTTPServer(("127.0.0.1", 0), _Webserver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("DAGSTER_URL", f"http://127.0.0.1:{server.server_port}")
        (part,) = health.ask_dagster(load_settings())
        server.shutdown()
    assert part.state == "unhealthy"
    assert part.detail.endswith("do not load: ValidationError: `mode at defs.yaml:13` Input should be")


def test_contracts_that_do_not_load_are_named_with_file_and_reason(nothing_there, tmp_path, monkeypatch):
    assert {part.name: part.state for part in [health.ask_contracts()]} == {"contracts": "healthy"}
    folder = tmp_path / "streams"
    for name in ("first", "second"):
        (folder / name).mkdir(parents=True)
    (folder / "first" / "defs.yaml").write_text("type: x\n\tattributes: {}\n", encoding="utf-8")
    (folder / "second" / "defs.yaml").write_text("type: x\nattributes: {}\n", encoding="utf-8")
    monkeypatch.setattr("lakehouse.contracts.load.STREAMS_FOLDER", folder)
    result = run.invoke(health.app, ["--json"])
    part = next(part for part in json.loads(result.stdout)["parts"] if part["name"] == "contracts")
    assert result.exit_code == 10
    assert part["state"] == "unhealthy"
    assert f"{folder}/first/defs.yaml:2: no valid YAML: YAML takes no tabs" in part["detail"]
    assert f"{folder}/second/defs.yaml:1: type is 'x'; allowed:" in part["detail"]
    assert part["fix"] == "Correct what is named, then: lakehouse streams validate"


def test_damaged_table_is_named(nothing_there, tmp_path):
    log = tmp_path / "lake" / "bronze" / "sales" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("{torn", encoding="utf-8")
    (tmp_path / "lake" / "_lakehouse.json").write_text(json.dumps({"lake_id": "a"}), encoding="utf-8")
    part = health.ask_lake(load_settings())
    assert part.state == "unhealthy"
    assert "bronze/sales" in part.detail


def test_gold_that_is_no_database_is_unhealthy(nothing_there, tmp_path):
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold" / "gold.duckdb").write_bytes(b"garbage" * 1000)
    assert health.ask_gold(load_settings()).state == "unhealthy"
