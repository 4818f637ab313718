"""The embedded PostgreSQL as a service: reachable by its owner only, back after a kill with what it held."""

import os
import shutil
import signal
import stat
import tempfile
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from lakehouse.cli.health import ask_postgres
from lakehouse.engine.embedded import postgres as embedded_postgres
from lakehouse.engine.embedded import stack
from lakehouse.engine.postgres import connect
from lakehouse.errors import AccessDeniedError, DatabaseUnreachableError, UsageError
from lakehouse.settings import load_settings
from lakehouse_tests.postgres import running_postgres


def test_killed_denied_stopped_and_taken_up_again(tmp_path: Path) -> None:
    """One server through its life; starting one costs seconds."""
    with running_postgres(tmp_path) as settings:
        assert settings.postgres_url is not None
        assert settings.source_url is not None
        url = settings.postgres_url.get_secret_value()
        (service,) = stack.status(settings)
        process = psutil.Process(service.pid)
        listening = [c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
        assert listening == ["127.0.0.1"]
        for name in ("pgpass", "cdc_password"):
            assert stat.S_IMODE((tmp_path / "postgres" / name).stat().st_mode) == 0o600
        password = (tmp_path / "postgres" / "pgpass").read_text().rsplit(":", 1)[1].strip()
        written = [tmp_path / "services.json", tmp_path / "endpoints.json", *(tmp_path / "logs").iterdir()]
        assert not [path for path in written if password in path.read_text()]

        with connect(settings.source_url.get_secret_value()) as source:
            assert source.execute("select current_database(), current_setting('wal_level')").fetchone() == (
                "source_db", "logical",
            )  # fmt: skip
        with pytest.raises(AccessDeniedError), connect(url.partition("?")[0] + "?password=guess"):
            pass
        with connect(url) as connection:
            connection.execute("create table kept as select 7 as answer")
        with pytest.raises(DatabaseUnreachableError):
            _use_until_it_dies(url, service.pid)
        assert _answer(url) == 7
        assert ask_postgres(settings)[0].state == "healthy"
        assert [entry.restarts for entry in stack.status(settings)] == [1]
        with connect(url) as left_open:
            # A client that stays must not hold up the end.
            began = time.monotonic()
            assert stack.stop(settings) == ["postgres"]
            assert time.monotonic() - began < 14
            with pytest.raises(psycopg.OperationalError):
                left_open.execute("select 1")
    assert "database system is shut down" in (tmp_path / "logs" / "postgres.log").read_text()
    with running_postgres(tmp_path) as settings:
        assert settings.postgres_url is not None
        assert _answer(settings.postgres_url.get_secret_value()) == 7


def test_a_server_that_is_not_there_is_a_typed_error_and_unhealthy(tmp_path: Path) -> None:
    settings = load_settings(LAKEHOUSE_HOME=tmp_path, LAKEHOUSE_POSTGRES_URL="postgresql://me:hunter2@127.0.0.1:1/db")
    (found,) = ask_postgres(settings)
    assert found.state == "unhealthy"
    assert "127.0.0.1:1/db" in found.detail
    assert "hunter2" not in f"{found.detail}{found.fix}{settings}"
    with pytest.raises(UsageError), connect("no address at all"):
        pass


def _use_until_it_dies(url: str, pid: int) -> None:
    deadline = time.monotonic() + 60
    with connect(url) as connection:
        os.kill(pid, signal.SIGKILL)
        while time.monotonic() < deadline:
            connection.execute("select 1")


def _answer(url: str) -> int:
    deadline = time.monotonic() + 60
    while True:
        try:
            with connect(url) as connection:
                row = connection.execute("select answer from kept").fetchone()
                assert row is not None
                return int(row[0])
        except DatabaseUnreachableError:
            assert time.monotonic() < deadline


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_where_user_namespaces_are_forbidden_it_runs_as_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    monkeypatch.setattr(embedded_postgres.shutil, "which", lambda name: None if name == "unshare" else which(name))
    # A folder that nobody may enter; those of pytest are closed.
    home = Path(tempfile.mkdtemp())
    home.chmod(0o755)
    try:
        with running_postgres(home) as settings:
            (service,) = stack.status(settings)
            assert psutil.Process(service.pid).uids().effective == 65534
            assert settings.postgres_url is not None
            with connect(settings.postgres_url.get_secret_value()) as connection:
                assert connection.execute("select 1").fetchone() == (1,)
    finally:
        shutil.rmtree(home)
