"""What is said before a start when the machine is not fit for it."""

import os
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest

from lakehouse.engine.embedded import dagster_ui, kafka, preparation, spark, stack
from lakehouse.engine.embedded.processes import Identity
from lakehouse.engine.embedded.state import StackFiles
from lakehouse.errors import SetupError
from lakehouse.settings import load_settings

Usage = namedtuple("Usage", "total used free")


def test_full_disk_is_said_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(preparation.shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 5 * 10**8))
    with pytest.raises(SetupError, match="Only 500 MB are free") as caught:
        stack.start(load_settings(LAKEHOUSE_HOME=tmp_path))
    assert "LAKEHOUSE_HOME" in caught.value.fix
    assert not (tmp_path / "services.json").exists()


def test_state_folder_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    with pytest.raises(SetupError, match="cannot be written"):
        stack.start(load_settings(LAKEHOUSE_HOME=blocked / "home"))


def test_missing_java_stops_the_start_with_nothing_running(tmp_path):
    settings = load_settings(LAKEHOUSE_HOME=tmp_path / "home", JAVA_HOME=tmp_path)
    with pytest.raises(SetupError, match="There is no Java"):
        stack.start(settings)
    assert stack.status(settings) == []


def test_stop_without_a_stack_is_quiet(tmp_path):
    assert stack.stop(load_settings(LAKEHOUSE_HOME=tmp_path / "never")) == []
    assert stack.stop(load_settings(LAKEHOUSE_HOME=tmp_path)) == []


def test_stale_process_id_reads_as_stopped_and_is_not_killed(tmp_path):
    settings = load_settings(LAKEHOUSE_HOME=tmp_path)
    entry = {
        "pid": os.getpid(),
        "created": 12.0,
        "state": "running",
        "port": 1,
        "url": "",
        "log": "",
        "since": "x",
        "restarts": 0,
    }
    StackFiles(tmp_path).write_services(Identity(os.getpid(), 12.0), {"kafka": entry})
    assert [(found.state, found.pid) for found in stack.status(settings)] == [("stopped", 0)]
    assert stack.stop(settings) == []
    assert not (tmp_path / "services.json").exists()


def test_everything_listens_on_the_loopback_interface_only(tmp_path):
    broker = kafka.server_properties(tmp_path, 19092, 19093)
    listeners = next(line for line in broker.splitlines() if line.startswith("listeners="))
    assert listeners == "listeners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert spark.server_conf(tmp_path, 15002)["spark.connect.grpc.binding.address"] == "127.0.0.1"
    code, webserver, daemon = dagster_ui.prepare(load_settings(LAKEHOUSE_HOME=tmp_path), 3000, 3001)
    for service in (code, webserver):
        assert service.command[service.command.index("-h") + 1] == "127.0.0.1"
    workspace, code_port = Path(daemon.command[-2]), daemon.command[-1]
    assert code_port == "3001", "it waits for that one"
    assert "grpc_server: {host: 127.0.0.1, port: 3001, location_name: lakehouse}" in workspace.read_text(), (
        "the daemon starts no code server of its own"
    )


def test_typing_mistake_in_a_topic_makes_no_topic(tmp_path):
    assert "auto.create.topics.enable=false" in kafka.server_properties(tmp_path, 1, 2)


def test_an_answer_of_another_stacks_service_is_not_ours(monkeypatch):
    """Two stacks that start together may choose one port; whoever lost took the other's broker for its own."""
    monkeypatch.setattr(stack, "is_healthy", lambda *_: True)
    monkeypatch.setattr(stack.ports, "is_held_by", lambda _, pid: pid == 11)
    assert stack._is_ready(SimpleNamespace(port=9092), 11)
    assert not stack._is_ready(SimpleNamespace(port=9092), 12)
    assert stack._is_ready(SimpleNamespace(port=0), 12), "the daemon has no port"
