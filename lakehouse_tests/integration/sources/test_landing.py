"""Files dropped into a folder: a run sends each row once, however often it runs, and names the file that is no CSV."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from lakehouse.components import LakeResource
from lakehouse.components.api_resource import ApiResource, poll_api
from lakehouse.components.landing import send_landed_files
from lakehouse.components.tables import STREAM_TAG
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.kafka.offsets import read_topic_state
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.settings import Settings
from lakehouse.sources.landing import landing_folder
from lakehouse_tests.http_server import Reply, serving

pytestmark = pytest.mark.kafka
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


@pytest.fixture
def contract(settings: Settings, topic_name: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> StreamContract:
    retail = load_stream("retail")
    own = retail.model_copy(update={"topic": retail.topic.model_copy(update={"name": topic_name("landed")})})
    monkeypatch.setattr("lakehouse.components.landing.load_stream", lambda _: own)
    apply_topics(settings, desired_topics([own]))
    return own


def drop(settings: Settings, name: str, lines: list[str]) -> Path:
    folder = landing_folder(settings, "retail")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    os.utime(path, (time.time() - 60, time.time() - 60))
    return path


def rows(start: int, count: int) -> list[str]:
    return [f"{536000 + n},A,thing {n},1,2010-12-01 08:26:00,2.55,17850.0,UK" for n in range(start, start + count)]


def run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return send_landed_files.execute_in_process(
        instance=instance, resources={"lake": LakeResource()}, tags={STREAM_TAG: "retail"}, raise_on_error=False
    )


def sent(settings: Settings, contract: StreamContract) -> int:
    return sum(read_topic_state(settings, contract.topic.name).end.values())


def test_each_row_is_sent_once_and_a_bad_file_holds_no_other_back(settings: Settings, contract: StreamContract) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        drop(settings, "a.csv", rows(0, 10))
        assert run(instance).success
        assert run(instance).success
        assert sent(settings, contract) == 10
        drop(settings, "b.csv", [*rows(10, 2), "536999,A"])
        drop(settings, "c.csv", rows(20, 5))
        failed = run(instance)
        assert not failed.success
        assert sent(settings, contract) == 15, "c was sent, b was not, a was not again"
        (event,) = (e for e in failed.all_events if e.is_step_failure)
        assert "b.csv: " in str(event.step_failure_data.error)
        drop(settings, "b.csv", rows(10, 3))
        assert run(instance).success
        assert sent(settings, contract) == 18


def test_the_api_resource_sends_a_source_from_the_file(
    settings: Settings, contract: StreamContract, tmp_path: Path
) -> None:
    records: list[dict[str, Any]] = [{"id": number} for number in range(4)]
    with serving(lambda _: Reply(records), [Reply(status=503)]) as server:
        entry = {"description": "A test.", "url": server.url, "topic": contract.topic.name, "key": ["id"]}
        file = tmp_path / "apis.yaml"
        file.write_text(yaml.safe_dump({"sources": {"shop": entry}}), encoding="utf-8")
        done = poll_api.execute_in_process(
            resources={"apis": ApiResource(file=str(file))},
            run_config={"ops": {"poll_source": {"config": {"source": "shop"}}}},
        )
        assert done.success
        assert len(server.requests) == 2
    assert sent(settings, contract) == 4
