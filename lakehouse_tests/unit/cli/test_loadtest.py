"""`lakehouse loadtest` ends on Ctrl-C: at once, with a word, and without what it made."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse.cli import loadtest
from lakehouse.cli.main import app
from lakehouse.contracts.load import load_stream
from lakehouse.kafka import scratch
from lakehouse.lake.soak import load_test
from lakehouse.settings import load_settings


class Sender:
    """Takes events and forgets them."""

    def __init__(self, *_: Any) -> None:
        self.sent, self.waiting = 0, 1
        self.has_begun = threading.Event()
        self.settled = False

    def send(self, messages: list[Any]) -> None:
        self.sent += len(messages)
        self.has_begun.set()

    def settle(self) -> None:
        self.settled = True


@pytest.fixture
def deleted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    names: list[str] = []
    monkeypatch.setattr(loadtest, "require_services", lambda *_, **__: None)
    monkeypatch.setattr(scratch, "delete_scratch", lambda _, topics: names.extend(topics))
    before = signal.getsignal(signal.SIGTERM)
    yield names
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_and_removes_topics_and_lake(
    deleted: list[str], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    homes: list[Path] = []

    def work(_contract: Any, settings: Any, **_: Any) -> None:
        homes.append(settings.home)
        assert settings.home.is_dir()
        os.kill(os.getpid(), number)
        # The signal ends this wait, or nothing does.
        threading.Event().wait(20)

    monkeypatch.setattr(load_test, "load_test", work)
    result = CliRunner().invoke(app, ["loadtest", "--duration", "600"])
    assert result.exit_code == 130
    assert "stopped before its end; cleaning up" in result.stderr
    assert "Stopped cleanly" in result.stderr
    assert len(deleted) == 2
    assert [home.exists() for home in homes] == [False]


def test_the_lake_is_removed_when_the_topics_cannot_be(monkeypatch: pytest.MonkeyPatch, deleted: list[str]) -> None:
    homes: list[Path] = []

    def fail(settings: Any, _: Any) -> None:
        homes.append(settings.home)
        raise OSError

    def work(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scratch, "delete_scratch", fail)
    monkeypatch.setattr(load_test, "load_test", work)
    result = CliRunner().invoke(app, ["loadtest"])
    assert isinstance(result.exception, OSError)
    assert [home.exists() for home in homes] == [False]


def test_an_interrupted_drain_ends_the_sending_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sender = Sender()

    def drain(*_: Any, **__: Any) -> None:
        assert sender.has_begun.wait(20)
        raise KeyboardInterrupt

    monkeypatch.setattr(load_test, "apply_topics", lambda *_: None)
    monkeypatch.setattr(load_test, "EventSender", lambda *_: sender)
    monkeypatch.setattr(load_test, "drain", drain)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        load_test.load_test(load_stream("sales"), load_settings(), seconds=30, rate=100, seed=1)
    assert time.monotonic() - began < 20
    assert not sender.settled, "nobody waits for acknowledgements that nobody counts"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("load-test")]
