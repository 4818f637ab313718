"""Any Spark Connect server will do: one that wants a token takes the stream over by its address, and gives it back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.engine.spark import TOKEN_VARIABLE, connect
from lakehouse.errors import AccessDeniedError
from lakehouse.lake.drain import drain
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.faults.story import Topic, assert_whole, some_records
from lakehouse_tests.stacks import own_spark
from lakehouse_tests.streams import sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.slow]
TOKEN = "canary4c1dTq77"


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A second server in a folder of its own; the variable is gone once it runs."""
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    with own_spark(tmp_path / "second") as second:
        monkeypatch.delenv(TOKEN_VARIABLE)
        yield second


def test_a_stream_moves_to_another_server_and_back(
    settings: Settings, guarded: Settings, topic_name: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = sales_on(settings, topic_name("moved"))
    sent = send(settings, contract.topic.name, some_records(0, 40))
    drain(contract, settings, budget_seconds=240, idle_seconds=0)

    for wrong in (guarded.spark_remote, f"{guarded.spark_remote}/;token=guess"):
        with pytest.raises(AccessDeniedError, match=r"Spark at sc://127\.0\.0\.1"):
            connect(wrong)
    monkeypatch.setenv("SPARK_REMOTE", f"{guarded.spark_remote}/;token={TOKEN}")
    sent += send(settings, contract.topic.name, some_records(100, 40))
    assert_whole(contract, load_settings(), sent)

    monkeypatch.setenv("SPARK_REMOTE", settings.spark_remote)
    sent += send(settings, contract.topic.name, some_records(200, 40))
    assert_whole(contract, load_settings(), sent)

    kept = [*guarded.home.rglob("*"), *settings.home.rglob("*")]
    assert any(path.name == "spark.log" for path in kept)
    assert [path for path in kept if path.is_file() and TOKEN.encode() in path.read_bytes()] == []
