"""A command says within seconds that a service does not answer, and what to do; only a starting one is waited for."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.cli.services import ANSWER_SECONDS, require_services
from lakehouse.engine import spark
from lakehouse.engine.embedded.processes import Identity
from lakehouse.engine.embedded.service import ServiceSpec
from lakehouse.engine.embedded.state import StackFiles
from lakehouse.errors import BrokerUnreachableError, SparkUnreachableError
from lakehouse.settings import load_settings

COMMANDS = [
    "drain sales",
    "verify sales",
    "check sales",
    "maintain sales",
    "maintain sales --dry-run",
    "speed",
    "speed --check",
    "batch 2026-01-01",
    "quarantine replay sales",
    "replay sales --yes",
    "repair sales",
    "trace sales 0:1",
    "trace sales --gold sales_daily",
    "dq validate sales",
    "dq report",
    "backfill sales --from 2026-01-02 --to 2026-01-02 --direct",
    "backfill sales --from 2026-01-02 --to 2026-01-02 --direct --bronze",
    "backfill daily_etl --from 2026-01-02 --to 2026-01-02 --direct",
    "pipelines run daily_etl --partition 2026-01-15",
    "loadtest",
]


@pytest.fixture(autouse=True)
def nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.delenv("LAKEHOUSE_ROOT", raising=False)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{closed}")
    monkeypatch.setenv("SPARK_REMOTE", f"sc://127.0.0.1:{closed}")


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody who takes connections, which is all that is asked of a broker here."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{server.getsockname()[1]}")
        yield


@pytest.mark.usefixtures("broker")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_asks_for_spark_before_it_works(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    waits: list[float] = []

    def wait(remote: str, timeout_seconds: float) -> None:
        waits.append(timeout_seconds)
        raise SparkUnreachableError(f"No Spark Connect server answers at {remote}.")

    monkeypatch.setattr(spark, "wait_for_port", wait)
    monkeypatch.setattr("lakehouse.lake.speed.run.is_behind", lambda _: True)
    lake = tmp_path / "lake"
    write_deltalake(str(lake / "quarantine" / "sales"), pa.table({"n": [1]}))
    (lake / "_lakehouse.json").write_text('{"lake_id": "a"}', encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in lake.rglob("*")}
    result = CliRunner().invoke(app, command.split())
    assert isinstance(result.exception, SparkUnreachableError)
    assert waits == [ANSWER_SECONDS]
    assert {path: path.stat().st_mtime_ns for path in lake.rglob("*")} == before


@pytest.mark.parametrize("command", ["drain sales", "verify sales", "repair sales", "loadtest"])
def test_a_command_that_needs_both_asks_for_the_broker_as_well(command: str) -> None:
    began = time.monotonic()
    result = CliRunner().invoke(app, command.split())
    assert isinstance(result.exception, BrokerUnreachableError)
    assert "lakehouse up" in result.exception.fix
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "command",
    ["batch", "speed", "maintain", "quarantine replay sales", "replay sales --abort", "repair sales --dry-run"],
)
def test_who_has_nothing_to_do_for_spark_does_not_ask_for_it(command: str) -> None:
    assert CliRunner().invoke(app, command.split()).exit_code == 0


def test_the_address_and_the_next_command_are_named_within_seconds() -> None:
    settings = load_settings()
    began = time.monotonic()
    with pytest.raises(SparkUnreachableError) as found:
        require_services(settings)
    assert time.monotonic() - began < ANSWER_SECONDS + 2
    assert settings.spark_remote in found.value.problem
    assert found.value.fix == "Start it: lakehouse up. Or set SPARK_REMOTE to your server."


@pytest.mark.parametrize("is_ours", [True, False])
def test_only_a_server_that_somebody_starts_again_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], is_ours: bool
) -> None:
    monkeypatch.setattr("lakehouse.cli.services.ANSWER_SECONDS", 0.1)
    settings = load_settings()
    files = StackFiles(tmp_path)
    url = settings.spark_remote if is_ours else "sc://127.0.0.1:1"
    spec = ServiceSpec("spark", "Spark", [], str(tmp_path), port=1, url=url, log="", output="")
    files.run.mkdir()
    files.write_plan([spec], 0)
    # The supervisor is this process, which is alive.
    files.write_services(Identity(os.getpid(), psutil.Process().create_time()), {})
    if is_ours:
        require_services(settings)
        assert "Spark is starting; waiting for it" in capsys.readouterr().err
    else:
        with pytest.raises(SparkUnreachableError):
            require_services(settings)
