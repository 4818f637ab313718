"""From an HTTP service that fails on every second question to silver: every record, once, resumed at the watermark."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from lakehouse.cli.produce import api as produce_api
from lakehouse.errors import SourceRefusedError
from lakehouse.lake.drain import drain
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.http_server import Reply, Request, serving
from lakehouse_tests.streams import rows_of, sale, sales_on

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


def test_a_faulty_api_ends_in_silver_once(
    settings: Settings,
    topic_name: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    monkeypatch.setattr("time.sleep", lambda _: None)
    contract = sales_on(settings, topic_name("api"))
    now = datetime.now(UTC)
    events = [sale(number, at=now) | {"number": number} for number in range(60)]
    faults = [Reply(status=500), Reply({"data": []}, cut=5), Reply(status=429), Reply(b"<html>")]
    asked = 0

    def answer(request: Request) -> Reply:
        nonlocal asked
        asked += 1
        if request.headers.get("authorization") != "Bearer s3cret":
            return Reply(status=401)
        if asked % 2 and faults:
            return faults.pop(0)
        since, start = int(request.query.get("since", -1)), int(request.query.get("at", 0))
        found = [event for event in events if int(str(event["number"])) > since]
        follows = start + 20 if start + 20 < len(found) else None
        return Reply({"data": found[start : start + 20], "next": follows})

    with serving(answer) as server:
        entry = {
            "description": "Sales of another shop.",
            "url": server.url,
            "topic": contract.topic.name,
            "records": "data",
            "key": ["order_id"],
            "pages": {"kind": "cursor", "param": "at", "path": "next"},
            "auth": {"kind": "bearer", "secret_env": "SHOP_TOKEN"},
            "watermark": {"field": "number", "param": "since"},
        }
        file = tmp_path / "apis.yaml"
        file.write_text(yaml.safe_dump({"sources": {"shop": entry}}), encoding="utf-8")

        def send() -> dict[str, object]:
            capsys.readouterr()
            produce_api(source="shop", sources=file, as_json=True)
            found: dict[str, object] = json.loads(capsys.readouterr().out)
            return found

        first = send()
        assert (first["pages"], first["sent"], first["watermark"]) == (3, 60, 59)
        events += [sale(number, at=now) | {"number": number} for number in range(60, 65)]
        assert (send()["sent"], send()["sent"]) == (5, 0)
        assert faults == []
        monkeypatch.setenv("SHOP_TOKEN", "wrong")
        with pytest.raises(SourceRefusedError, match="401"):
            produce_api(source="shop", sources=file)
    drain(contract, settings, budget_seconds=240, idle_seconds=0)
    found = rows_of(LakePaths.of(settings).silver(contract.name), "order_id")
    assert sorted(row[0] for row in found) == sorted(event["order_id"] for event in events)
    assert verify(settings, [contract]).findings == []


def test_another_topic_of_that_name_begins_anew(settings: Settings) -> None:
    from lakehouse.sources.rest import Watermarks

    Watermarks(settings, "topic-1", "shop").note(7)
    assert Watermarks(settings, "topic-1", "shop").read() == 7
    assert Watermarks(settings, "topic-2", "shop").read() is None
