"""A soak's folder goes when all is well and stays for a look when not; its stack is stopped either way."""

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lakehouse.engine.embedded import stack as embedded
from lakehouse.errors import LakehouseError
from lakehouse.lake.soak.scratch import scratch


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The homes whose stack was stopped; nothing is really started."""
    homes: list[Path] = []
    services = [SimpleNamespace(name="kafka", url="127.0.0.1:1"), SimpleNamespace(name="spark", url="sc://127.0.0.1:2")]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(embedded, "start", lambda *_, **__: services)
    monkeypatch.setattr(embedded, "stop", lambda settings: homes.append(settings.home))
    return homes


@pytest.mark.parametrize("kept", [True, False])
def test_the_folder_is_kept_only_when_asked_for(stopped: list[Path], kept: bool) -> None:
    said: list[str] = []

    def fails() -> None:
        with scratch(said.append) as place:
            place.kept = kept
            raise LakehouseError("a worker hangs")

    with pytest.raises(LakehouseError, match="a worker hangs"):
        fails()
    assert [home.is_dir() for home in stopped] == [kept]
    assert (said[-1] == f"kept for a look: {stopped[0]}") is kept


def test_everything_there_works_on_the_scratch_services(stopped: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    live: dict[str, Any] = {
        "KAFKA_BOOTSTRAP_SERVERS": "live:1",
        "SPARK_REMOTE": "sc://live:2",
        "LAKEHOUSE_ROOT": "/live",
    }
    for name, value in live.items():
        monkeypatch.setenv(name, value)
    with scratch(lambda _: None) as place:
        found = place.environment()
        home = place.settings.home
    assert (found["KAFKA_BOOTSTRAP_SERVERS"], found["SPARK_REMOTE"]) == ("127.0.0.1:1", "sc://127.0.0.1:2")
    assert (found["LAKEHOUSE_HOME"], found["LAKEHOUSE_ROOT"]) == (str(home), str(home / "lake"))
    assert place.settings.lake_root == str(home / "lake")
    assert stopped == [home]
