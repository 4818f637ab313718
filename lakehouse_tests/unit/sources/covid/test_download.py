"""Daily reports over HTTP from a local service with faults: whole or not at all, each once, as from a folder."""

from datetime import date
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contracts.window import window_of
from lakehouse.errors import SourceRefusedError, SourceUnavailableError
from lakehouse.settings import Settings, load_settings
from lakehouse.sources.covid.feed import SAMPLE, places, refused
from lakehouse.sources.http import HttpClient
from lakehouse_tests.conftest import shared_data
from lakehouse_tests.http_server import Reply, Request, serving

START = date(2020, 1, 22)


class Service:
    """The folder's files by name; `broken` are cut off in the middle so often, `tags` says that it knows ETags."""

    def __init__(self, folder: Path, index: str | None = None, tags: str = "etag") -> None:
        files = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*.csv*"))
        self.files = {name: (folder / name).read_bytes() for name in files}
        self.files["manifest.csv"] = ("file\n" + "\n".join(index.split() if index else files) + "\n").encode()
        self.broken: dict[str, int] = {}
        self.sent: list[str] = []
        self._tags = tags

    def __call__(self, request: Request) -> Reply:
        name = request.path.lstrip("/")
        if name not in self.files:
            return Reply(status=404)
        if self.broken.get(name, 0):
            self.broken[name] -= 1
            return Reply(self.files[name], cut=len(self.files[name]) // 2)
        given, asked, value = {
            "etag": ("ETag", "if-none-match", f'"{hash(self.files[name])}"'),
            "date": ("Last-Modified", "if-modified-since", formatdate(len(self.files[name]), usegmt=True)),
        }[self._tags]
        if request.headers.get(asked) == value:
            return Reply(b"", status=304)
        self.sent.append(name)
        return Reply(self.files[name], headers={given: value})


def settings_of(home: Path, address: str | None = None) -> Settings:
    return load_settings(LAKEHOUSE_HOME=home, LAKEHOUSE_COVID_URL=address)


def everything(settings: Settings, *days: str) -> list[dict[str, Any]]:
    windows = [window_of("daily", day, START) for day in days]
    return [row for window in windows for part in (places, refused) for row in part(window, {}, settings)]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.sources.covid.download.HttpClient", partial(HttpClient, sleep=lambda _: None))


def test_real_reports_over_http_are_the_rows_of_the_folder(tmp_path: Path) -> None:
    folder = shared_data("covid19_jhu_daily")
    # One report of the second day breaks off.
    days = ["2020-02-28", "2020-04-01"]
    (tmp_path / "a" / "landing").mkdir(parents=True)
    (tmp_path / "a" / "landing" / "covid").symlink_to(folder)
    expected = everything(settings_of(tmp_path / "a"), *days)
    service = Service(folder)
    with serving(service) as server:
        assert everything(settings_of(tmp_path / "b", server.url), *days) == expected
    assert {row["reason"] for row in expected if "reason" in row}, "the broken report is among them"
    assert 2 < len(service.sent) < len(service.files), "only what the days need"
    assert sorted(service.sent) == sorted(set(service.sent)), "each once, though each step asks"


@pytest.mark.parametrize("tags", ["etag", "date"])
def test_only_what_changed_is_sent_again(tmp_path: Path, tags: str) -> None:
    service = Service(SAMPLE, tags=tags)
    name = "2026-03-03/v01_20260303T235900Z.csv"
    with serving(service) as server:
        settings = settings_of(tmp_path, server.url)
        first = everything(settings, "2026-03-03")
        service.sent.clear()
        assert everything(settings, "2026-03-03") == first
        assert service.sent == []
        lines = service.files[name].splitlines(keepends=True)
        service.files[name] = b"".join(lines[:-1])
        again = everything(settings, "2026-03-03")
        assert [row["location"] for row in again] == [row["location"] for row in first[:-1]]
        assert service.sent == [name]


def test_an_answer_that_breaks_off_is_asked_for_again_and_never_kept(tmp_path: Path) -> None:
    service = Service(SAMPLE)
    name = "2026-03-03/v01_20260303T235900Z.csv"
    with serving(service) as server:
        settings = settings_of(tmp_path, server.url)
        service.broken[name] = 99
        with pytest.raises(SourceUnavailableError, match="no whole answer in"):
            everything(settings, "2026-03-03")
        assert not list(tmp_path.rglob(Path(name).name)), "half a report would look like a fall of the counts"

        # Later it is well again but for two attempts; the circuit has had its rest.
        for note in (tmp_path / "circuits").iterdir():
            note.unlink()
        service.broken[name] = 2
        found = everything(settings, "2026-03-03")
    assert found == everything(settings_of(tmp_path / "sample"), "2026-03-03")


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("2026-03-03/v09_20260303T235900Z.csv", "answers 404"),
        ("../2026-03-03/v01_20260303T235900Z.csv", "does not say which day"),
        ("2026-03-03/latest.csv", "does not say which day"),
    ],
)
def test_an_index_that_is_wrong_is_refused(tmp_path: Path, index: str, said: str) -> None:
    with serving(Service(SAMPLE, index)) as server, pytest.raises(SourceRefusedError, match=said):
        everything(settings_of(tmp_path, server.url), "2026-03-03")
    with serving(Service(SAMPLE)) as server:
        server._answer.files["manifest.csv"] = b"name,published\nx,y\n"  # type: ignore[attr-defined]
        with pytest.raises(SourceRefusedError, match="no list of published reports"):
            everything(settings_of(tmp_path / "other", server.url), "2026-03-03")
