"""Ctrl-C: a word about what it means, and no waiting for what goes on elsewhere."""

import signal
import threading
import time
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.contracts.load import load_stream
from lakehouse.lake import verify as verification
from lakehouse.settings import load_settings


def test_who_stops_a_command_is_told_that_it_may_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lakehouse.cli.config.load_settings", stopped)
    result = CliRunner().invoke(app, ["config"])
    assert result.exit_code == 130
    assert "Stopped cleanly; run the command again to go on." in result.stderr


def test_proofs_that_are_under_way_are_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = threading.Event()

    class Session:
        def interruptAll(self) -> None:  # noqa: N802 - pyspark's name
            interrupted.set()

    def look(_contract: Any, _settings: Any, _before: Any, sessions: list[Any]) -> Any:
        sessions.append(Session())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        assert interrupted.wait(30)
        return None, []

    monkeypatch.setattr(verification, "_look_at", look)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        verification.verify(load_settings(), [load_stream("sales")])
    assert time.monotonic() - began < 25
