"""Wanted topics, actual topics and the difference between them: pure functions, no broker.

Here: the model of a topic and the decisions. Not here: asking or changing a cluster (`kafka.topics`), the YAML file
(`kafka.topics_file`).
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, Protocol

from lakehouse.errors import UsageError

Kind = Literal["streaming", "batch", "events"]


class TopicPromise(Protocol):
    """The part of a contract's topic that is used here."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> Kind: ...  # noqa: D102
    @property
    def partitions(self) -> int: ...  # noqa: D102
    @property
    def replication_factor(self) -> int: ...  # noqa: D102
    @property
    def retention(self) -> timedelta: ...  # noqa: D102
    @property
    def config(self) -> dict[str, str]: ...  # noqa: D102
    @property
    def dlq(self) -> str: ...  # noqa: D102


class StreamPromise(Protocol):
    """The part of a stream's contract that is used here; this package knows no contracts."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def topic(self) -> TopicPromise: ...  # noqa: D102


@dataclass(frozen=True)
class DesiredTopic:
    """A topic as it should be. `config` has Kafka's own names; `origin` says who asks for it."""

    name: str
    partitions: int
    replication_factor: int = 1
    config: dict[str, str] = field(default_factory=dict)
    origin: str = ""
    kind: Kind = "streaming"


@dataclass(frozen=True)
class Profile:
    """How an environment bends the wanted topics.

    Attributes:
        name: As named in the topics file.
        min_replication_factor: Raises lower replication factors to this.
        cap_replication: Lower the replication factor to the number of brokers instead of refusing.
        config: Settings that every topic gets unless it sets them itself.
    """

    name: str = "dev"
    min_replication_factor: int = 1
    cap_replication: bool = True
    config: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TopicChange:
    """What was, or has to be, done about one topic.

    Attributes:
        topic: Its name.
        action: `create`, `alter` (settings or partitions), `none`.
        details: One sentence per difference that is mended.
        notes: One sentence per difference that stays, with the reason.
    """

    topic: str
    action: Literal["create", "alter", "none"]
    details: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ActualTopic:
    """A topic as it is on the cluster. `config` has every setting, defaults included."""

    partitions: int
    replication_factor: int
    config: dict[str, str]


def merge_topics(*groups: Iterable[DesiredTopic]) -> list[DesiredTopic]:
    """All groups as one list.

    Raises:
        UsageError: when two of them want the same topic.
    """
    merged: dict[str, DesiredTopic] = {}
    for topic in (topic for group in groups for topic in group):
        if topic.name in merged:
            raise UsageError(
                f"Topic {topic.name!r} is asked for twice: by {merged[topic.name].origin} and by {topic.origin}.",
                fix="Remove one of them.",
            )
        merged[topic.name] = topic
    return list(merged.values())


def fit(topic: DesiredTopic, profile: Profile, brokers: int) -> tuple[DesiredTopic, list[str]]:
    """The topic as this profile wants it on a cluster of so many brokers, and what had to be bent.

    Raises:
        UsageError: when the cluster has too few brokers and the profile does not cap.
    """
    notes = []
    replicas = max(topic.replication_factor, profile.min_replication_factor)
    config = profile.config | topic.config
    if replicas > brokers:
        if not profile.cap_replication:
            raise UsageError(
                f"Topic {topic.name} needs {replicas} brokers, the cluster has {brokers}.",
                fix="Use `--profile dev`, which caps replication at the number of brokers, or add brokers.",
            )
        notes.append(
            f"replication factor {replicas} capped at {brokers}, the number of brokers (profile {profile.name})"
        )
        replicas = brokers
    in_sync = config.get("min.insync.replicas")
    if in_sync is not None and int(in_sync) > replicas:
        notes.append(f"min.insync.replicas {in_sync} capped at {replicas}, the replication factor")
        config["min.insync.replicas"] = str(replicas)
    return replace(topic, replication_factor=replicas, config=config), notes


def difference(topic: DesiredTopic, actual: ActualTopic | None) -> TopicChange:
    """What has to be done so that the topic is as wanted; `actual` is None for a missing topic.

    Raises:
        UsageError: when the topic has more partitions than wanted.
    """
    if actual is None:
        wanted = f"partitions {topic.partitions}, replication factor {topic.replication_factor}"
        return TopicChange(topic.name, "create", [wanted])
    if actual.partitions > topic.partitions:
        raise UsageError(
            f"Topic {topic.name} has {actual.partitions} partitions, {topic.origin or 'its definition'} wants "
            f"{topic.partitions}: Kafka cannot take partitions away. Nothing was changed.",
            fix=f"Ask for {actual.partitions} or more, or use a new topic name.",
        )
    details, notes = [], []
    if actual.partitions < topic.partitions:
        details.append(f"partitions {actual.partitions} → {topic.partitions}")
    for key, value in sorted(topic.config.items()):
        if actual.config.get(key) != value:
            details.append(f"{key} {actual.config.get(key, '(unset)')} → {value}")
    if actual.replication_factor != topic.replication_factor:
        notes.append(
            f"replication factor is {actual.replication_factor}, wanted {topic.replication_factor}: "
            "needs a partition reassignment by the cluster's operator"
        )
    return TopicChange(topic.name, "alter" if details else "none", details, notes)


def recommend_partitions(messages_per_second: float) -> tuple[int, int | None, str]:
    """How many partitions a topic of that rate should have: at least, at most (None: open), and why.

    Raises:
        UsageError: for a negative rate.
    """
    if messages_per_second < 0:
        raise UsageError(f"A rate of {messages_per_second:g} messages/s is not possible.", fix="Give 0 or more.")
    if messages_per_second < 10_000:
        return 6, 12, "a single consumer can handle it"
    if messages_per_second <= 100_000:
        return 24, 48, "several consumers are needed"
    return 100, None, "scale consumers with partitions"
