"""Records of an HTTP source: every way of paging gives every record once, and errors name the entry."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.errors import SourceRefusedError, UsageError
from lakehouse.settings import Settings, load_settings
from lakehouse.sources.api_config import APIS_FILE, ApiSource, load_api
from lakehouse.sources.rest import highest, messages, open_client, pages
from lakehouse_tests.http_server import Reply, Request, serving

ROWS = [{"id": number, "at": f"2026-01-{number + 1:02d}", "price": "1.10"} for number in range(7)]


def source(url: str, **changes: Any) -> ApiSource:
    return ApiSource.model_validate({"url": url, "description": "A test.", "topic": "t", **changes})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(LAKEHOUSE_HOME=tmp_path)


def by_page(request: Request) -> Reply:
    size, start = int(request.query["per_page"]), int(request.query["page"]) - 1
    return Reply({"data": {"rows": ROWS[start * size : (start + 1) * size]}})


def by_offset(request: Request) -> Reply:
    start = int(request.query["offset"])
    return Reply({"data": {"rows": ROWS[start : start + 3]}})


def by_cursor(request: Request) -> Reply:
    start = int(request.query.get("after", 0))
    follows = str(start + 3) if start + 3 < len(ROWS) else None
    return Reply({"data": {"rows": ROWS[start : start + 3]}, "meta": {"next": follows}})


def by_link(request: Request) -> Reply:
    start = int(request.query.get("start", 0))
    header = {"Link": f'</v1?start={start + 3}&kept=yes>; rel="next"'} if start + 3 < len(ROWS) else {}
    return Reply({"data": {"rows": ROWS[start : start + 3]}}, headers=header)


@pytest.mark.parametrize(
    ("way", "answer", "asked"),
    [
        ({"kind": "page", "param": "page", "size_param": "per_page", "size": 3}, by_page, 3),
        ({"kind": "page", "param": "page", "size_param": "per_page", "size": 7}, by_page, 2),
        ({"kind": "offset", "param": "offset", "size": 3, "start": 0}, by_offset, 3),
        ({"kind": "cursor", "param": "after", "path": "meta.next"}, by_cursor, 3),
        ({"kind": "link"}, by_link, 3),
    ],
    ids=["page", "full last page", "offset", "cursor", "link"],
)
def test_every_record_once(settings: Settings, way: dict[str, Any], answer: Any, asked: int) -> None:
    with serving(answer) as server:
        entry = source(server.url, records="data.rows", pages=way, params={"kept": "yes"}, key=["id"])
        with open_client(settings, entry) as client:
            found = [record for page in pages(client, entry) for record in page]
        assert found == ROWS
        assert [request.query["kept"] for request in server.requests] == ["yes"] * asked
    assert messages(found, entry)[1] == ("1", b'{"id":1,"at":"2026-01-02","price":"1.10"}')


def test_pages_that_go_round_or_never_end_are_refused(settings: Settings) -> None:
    with serving(lambda _: Reply({"rows": [], "next": "same"})) as server:
        entry = source(server.url, records="rows", pages={"kind": "cursor", "param": "c", "path": "next"})
        with open_client(settings, entry) as client, pytest.raises(SourceRefusedError, match="read already"):
            list(pages(client, entry))
    with serving(lambda _: Reply([{"id": 1}])) as server:
        entry = source(server.url, pages={"kind": "page", "param": "p", "size": 1}, max_pages=4)
        with open_client(settings, entry) as client, pytest.raises(SourceRefusedError, match="more than 4 pages"):
            list(pages(client, entry))
        assert len(server.requests) == 4


def test_the_watermark_is_asked_for_and_grows_as_a_number_or_as_text(settings: Settings) -> None:
    with serving(lambda _: Reply(ROWS)) as server:
        entry = source(server.url, watermark={"field": "at", "param": "since", "initial": "2026-01-01"})
        with open_client(settings, entry) as client:
            (records,) = pages(client, entry)
            list(pages(client, entry, since=highest(records, entry, None)))
        assert [request.query["since"] for request in server.requests] == ["2026-01-01", "2026-01-07"]
    by_number = source("https://api.test", watermark={"field": "id", "param": "since"})
    assert highest([{"id": 9}, {"id": 10}, {}], by_number, None) == 10
    assert highest([{"id": 9}], by_number, 10) == 10


@pytest.mark.parametrize(
    ("payload", "changes", "named"),
    [
        ({"rows": 3}, {"records": "rows"}, "rows is no list"),
        ([1, 2], {}, "the answer is no list of records"),
    ],
)
def test_an_answer_of_another_form_is_refused(
    settings: Settings, payload: Any, changes: dict[str, Any], named: str
) -> None:
    with serving(lambda _: Reply(payload)) as server:
        entry = source(server.url, **changes)
        with open_client(settings, entry) as client, pytest.raises(SourceRefusedError, match=named):
            list(pages(client, entry))
    with pytest.raises(SourceRefusedError, match="has no 'id'"):
        messages([{"x": 1}], source("https://api.test", key=["id"]))


def test_the_bundled_file_is_right_and_a_wrong_one_names_the_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in yaml.safe_load(APIS_FILE.read_text(encoding="utf-8"))["sources"]:
        assert load_api(name).url.startswith("https://")
    file = tmp_path / "apis.yaml"
    file.write_text("sources: {a: {url: 'ftp://x', description: abc, topic: t, pagez: 1}}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"sources\.a\.url.*sources\.a\.pagez"):
        load_api("a", file)
    with pytest.raises(UsageError, match="It has: a"):
        load_api("b", file)
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    secret = source("https://api.test", auth={"kind": "bearer", "secret_env": "NO_SUCH_TOKEN"})
    with pytest.raises(UsageError, match="NO_SUCH_TOKEN"):
        secret.auth.credentials()
