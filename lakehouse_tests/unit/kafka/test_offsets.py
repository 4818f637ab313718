"""Offsets of a topic whose partitions have no leader for a while: asked again, and a typed error when it lasts."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from lakehouse.errors import BrokerUnreachableError
from lakehouse.kafka import offsets
from lakehouse.kafka.offsets import TopicReader
from lakehouse.settings import load_settings


def answered(value: Any) -> "Future[Any]":
    future: Future[Any] = Future()
    if isinstance(value, Exception):
        future.set_exception(value)
    else:
        future.set_result(value)
    return future


class ClusterThatElects:
    """Answers as librdkafka's admin client does for a topic of one partition; the first questions find no leader."""

    def __init__(self, code: int, refusals: int) -> None:
        self._no_leader, self.refusals = KafkaException(KafkaError(code, "No leaders found")), refusals

    def describe_topics(self, *_: Any, **__: Any) -> dict[str, "Future[Any]"]:
        return {"sales": answered(SimpleNamespace(topic_id="id", partitions=[SimpleNamespace(id=0)]))}

    def list_topics(self, **_: Any) -> Any:
        return SimpleNamespace(topics={"sales": None})

    def list_offsets(self, asked: dict[Any, Any], **_: Any) -> dict[Any, "Future[Any]"]:
        self.refusals -= 1
        answer = self._no_leader if self.refusals >= 0 else SimpleNamespace(offset=7)
        return {partition: answered(answer) for partition in asked}


def reader_of(cluster: ClusterThatElects, monkeypatch: pytest.MonkeyPatch, timeout_seconds: float) -> TopicReader:
    monkeypatch.setattr(offsets, "admin_client", lambda *_, **__: cluster)
    return TopicReader(load_settings(), timeout_seconds=timeout_seconds)


@pytest.mark.parametrize("code", [KafkaError._NOENT, KafkaError.LEADER_NOT_AVAILABLE])
def test_leaders_that_are_elected_in_a_moment_are_waited_for(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = ClusterThatElects(code, refusals=4)
    state = reader_of(cluster, monkeypatch, timeout_seconds=30).state("sales")
    assert (state.start, state.end) == ({0: 7}, {0: 7})


def test_partitions_without_a_leader_for_long_are_a_broker_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = reader_of(ClusterThatElects(KafkaError._NOENT, refusals=1_000_000), monkeypatch, timeout_seconds=0.1)
    with pytest.raises(BrokerUnreachableError, match="No leaders found") as caught:
        reader.state("sales")
    assert caught.value.retryable
