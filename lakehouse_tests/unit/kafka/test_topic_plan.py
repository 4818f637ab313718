"""What topics should exist, and the difference to what exists."""

from pathlib import Path

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.errors import UsageError
from lakehouse.kafka.topic_plan import (
    ActualTopic,
    DesiredTopic,
    Profile,
    difference,
    fit,
    merge_topics,
    recommend_partitions,
)
from lakehouse.kafka.topics import desired_topics
from lakehouse.kafka.topics_file import load_profile, shared_topics, topic_named

TOPIC = DesiredTopic("t", 6, 3, {"retention.ms": "1000", "min.insync.replicas": "2"}, origin="stream t")


def test_a_stream_wants_its_topic_and_its_dead_letter_topic() -> None:
    events, dead_letters = desired_topics([load_stream("sales")])
    assert (events.name, events.partitions) == ("sales_events", 6)
    # The broker's clock decides the arrival day.
    assert events.config["message.timestamp.type"] == "LogAppendTime"
    assert events.config["retention.ms"] == "604800000"
    assert dead_letters.name == "sales_events.dlq"
    assert int(dead_letters.config["retention.ms"]) == 30 * 86_400_000


def test_user_events_has_the_required_values() -> None:
    topic, _ = desired_topics([load_stream("user_events")])
    assert topic.name == topic_named("events") == topic_named("user-events") == "user-events"
    assert (topic.partitions, topic.replication_factor) == (24, 3)
    wanted = {
        "retention.ms": "604800000",
        "retention.bytes": "107374182400",
        "cleanup.policy": "delete",
        "min.insync.replicas": "2",
        "segment.bytes": "1073741824",
    }
    assert wanted.items() <= topic.config.items()


def test_dev_caps_replication_and_says_so() -> None:
    topic, notes = fit(TOPIC, load_profile("dev"), brokers=1)
    assert topic.replication_factor == 1
    assert topic.config["min.insync.replicas"] == "1"
    assert notes == [
        "replication factor 3 capped at 1, the number of brokers (profile dev)",
        "min.insync.replicas 2 capped at 1, the replication factor",
    ]


def test_production_raises_replication_and_refuses_a_small_cluster() -> None:
    production = load_profile("production")
    topic, notes = fit(DesiredTopic("t", 6, 1, {}), production, brokers=3)
    assert (topic.replication_factor, topic.config, notes) == (3, {"min.insync.replicas": "2"}, [])
    with pytest.raises(UsageError, match="needs 3 brokers, the cluster has 2"):
        fit(DesiredTopic("t", 6, 1, {}), production, brokers=2)


def test_equal_topics_need_nothing() -> None:
    actual = ActualTopic(6, 3, TOPIC.config | {"segment.bytes": "1"})
    assert difference(TOPIC, actual).action == "none"


def test_differences_are_named_one_by_one() -> None:
    change = difference(TOPIC, ActualTopic(4, 1, {"retention.ms": "5", "min.insync.replicas": "2"}))
    assert change.action == "alter"
    assert change.details == ["partitions 4 → 6", "retention.ms 5 → 1000"]
    assert "replication factor is 1, wanted 3" in change.notes[0]


def test_partitions_are_never_taken_away() -> None:
    with pytest.raises(UsageError, match="has 9 partitions, stream t wants 6"):
        difference(TOPIC, ActualTopic(9, 3, TOPIC.config))


def test_two_owners_of_one_topic_are_refused() -> None:
    with pytest.raises(UsageError, match=r"by stream t and by topics\.yaml"):
        merge_topics([TOPIC], [DesiredTopic("t", 1, origin="topics.yaml")])


@pytest.mark.parametrize(
    ("rate", "low", "high"),
    [(0, 6, 12), (9_999, 6, 12), (10_000, 24, 48), (100_000, 24, 48), (100_001, 100, None)],
)
def test_partitions_by_rate(rate: float, low: int, high: int | None) -> None:
    assert recommend_partitions(rate)[:2] == (low, high)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("topics: [", "yaml:1: no valid YAML"),
        ("topics:\n  - {name: t, partitons: 3}", "topics.0.partitons"),
        ("topics:\n  - {name: t, partitions: 0}", "topics.0.partitions"),
        ("topics:\n  - {name: 'a b'}", "topics.0.name"),
    ],
)
def test_a_broken_topics_file_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "topics.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        shared_topics(path)


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="dev, production"):
        load_profile("prod")


def test_profile_values_reach_the_topic_unless_it_has_its_own() -> None:
    profile = Profile("x", config={"retention.ms": "9", "segment.bytes": "7"})
    topic, _ = fit(TOPIC, profile, brokers=3)
    assert topic.config["retention.ms"] == "1000"
    assert topic.config["segment.bytes"] == "7"
