"""`lakehouse prove`: what it says when something does not hold; the soak itself is tested on its real stack."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse.cli.prove import app
from lakehouse.errors import EXIT_UNHEALTHY, UsageError
from lakehouse.lake.soak import run
from lakehouse.lake.soak.certificate import Certificate


def certificate(seed: int, findings: list[str]) -> Certificate:
    return Certificate(
        stream="sales", contract="abc", seed=seed, replay=f"lakehouse prove sales --seed {seed} --rounds 3",
        started_at=datetime(2026, 11, 21, tzinfo=UTC), seconds=1, rounds=3, kills={"after_plan": 2}, survived=1,
        stops=[], broker_restarts=1, rivals=0, batches=9, wanted_batches=None,
        sent=100, bronze=99, silver=90, quarantined=6, repeats=3,
        findings=findings, notes=["a note"], versions={},
    )  # fmt: skip


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Any, dict[str, Any]]]:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))

    def call(findings: list[str], *arguments: str) -> tuple[Any, dict[str, Any]]:
        asked: dict[str, Any] = {}

        def soak(_: object, **options: Any) -> Certificate:
            asked.update(options)
            return certificate(options["seed"], findings)

        monkeypatch.setattr(run, "soak", soak)
        return CliRunner().invoke(app, ["sales", *arguments]), asked

    return call


def test_findings_end_it_with_10_and_the_command_that_replays_them(invoke: Callable[..., Any], tmp_path: Path) -> None:
    result, asked = invoke(["accounts: one is lost"], "--seed", "5", "--minutes", "0.5", "--batches", "1000")
    assert result.exit_code == EXIT_UNHEALTHY
    assert (asked["seed"], asked["minutes"], asked["batches"], asked["rounds"]) == (5, 0.5, 1000, None)
    assert "✗ accounts: one is lost" in result.stdout
    assert "holds" not in result.stdout
    assert "replay: lakehouse prove sales --seed 5 --rounds 3" in result.stderr
    assert len(list((tmp_path / "certificates").iterdir())) == 2


def test_without_a_seed_one_is_drawn_and_told(invoke: Callable[..., Any]) -> None:
    result, asked = invoke([])
    assert result.exit_code == 0
    assert f"seed {asked['seed']}" in result.stderr
    assert "exactly-once holds" in result.stdout
    assert "note: a note" in result.stdout


def test_an_unknown_stream_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="Did you mean 'sales'"):
        CliRunner().invoke(app, ["sale"], catch_exceptions=False)
