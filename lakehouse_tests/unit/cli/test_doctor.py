"""`lakehouse doctor`: each check names its fix, and a failing one decides the exit code."""

import json
import os
import socket
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli.doctor import app
from lakehouse.engine.embedded import doctor
from lakehouse.engine.embedded.processes import Identity
from lakehouse.engine.embedded.state import StackFiles
from lakehouse.settings import load_settings

run = CliRunner()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    return tmp_path


def test_json_lists_every_check_with_its_fix_and_ten_means_something_fails(home, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(home / "nowhere"))
    result = run.invoke(app, ["--json"])
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 10
    assert checks["java"]["status"] == "fail"
    assert "JAVA_HOME" in checks["java"]["fix"]
    assert {"python", "packages", "jars", "duckdb", "disk", "memory", "clock", "stack"} <= set(checks)


def test_taken_port_names_the_holder_and_the_setting(home):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        check = doctor.check_port(load_settings(), "kafka", port, "LAKEHOUSE_KAFKA_PORT")
    assert check.status == "warn"
    assert f"pid {os.getpid()}" in check.detail
    assert "LAKEHOUSE_KAFKA_PORT" in check.fix


def test_package_that_drifted_from_the_lock_is_named(tmp_path, monkeypatch):
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "typer==0.0.1 \\\n    --hash=sha256:00\nno-such-thing==2 ; python_version < '3'\n", encoding="utf-8"
    )
    monkeypatch.setattr(doctor, "LOCK_FILE", lock)
    check = doctor.check_packages(load_settings())
    assert check.status == "fail"
    assert "not 0.0.1" in check.detail
    assert "no-such-thing" not in check.detail


def test_every_dependency_of_the_project_is_locked_in_a_version_it_allows():
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((doctor.PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = doctor.locked_packages(doctor.LOCK_FILE.read_text(encoding="utf-8"))
    for text in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        requirement = Requirement(text)
        name = requirement.name.lower()
        assert name in locked, f"{name} is not in requirements.lock: make lock"
        assert requirement.specifier.contains(locked[name]), f"{text} against {locked[name]}: make lock"


def test_lock_names_no_package_index():
    assert "://" not in doctor.LOCK_FILE.read_text(encoding="utf-8")


def test_services_without_supervisor_are_found(home):
    StackFiles(home).write_services(
        Identity(os.getpid(), 12.0), {"kafka": {"pid": os.getpid(), "created": _created(os.getpid())}}
    )
    check = doctor.check_stack(load_settings())
    assert (check.status, check.fix) == ("fail", "lakehouse up takes them over")


def test_unreadable_services_file_is_a_finding_not_a_crash(home):
    (home / "services.json").write_text("{", encoding="utf-8")
    assert doctor.check_stack(load_settings()).status == "fail"


def test_clock_behind_the_files_of_the_project(home, monkeypatch):
    monkeypatch.setattr(doctor.time, "time", lambda: 1.0)
    assert doctor.check_clock(load_settings()).status == "fail"


def test_heap_sizes():
    assert doctor.heap_bytes("384m") == 384 * 1024**2
    assert doctor.heap_bytes("2g") == 2 * 1024**3


def _created(pid: int) -> float:
    import psutil

    return float(psutil.Process(pid).create_time())


def test_newest_file_decides_the_clock_not_the_oldest(home):
    assert doctor.check_clock(load_settings()).status == "ok"
    ahead = time.time() + 3600
    services = Path(StackFiles(home).services)
    services.write_text("{}", encoding="utf-8")
    os.utime(services, (ahead, ahead))
    assert doctor.check_clock(load_settings()).status == "fail"
