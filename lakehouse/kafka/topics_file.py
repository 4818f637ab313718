"""`infra/kafka/topics.yaml`: shared topics and the profiles of the environments.

Here: reading and checking the file. Not here: what is done with it (`kafka.topic_plan`, `kafka.topics`).
"""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lakehouse.errors import UsageError
from lakehouse.kafka.topic_plan import DesiredTopic, Profile
from lakehouse.settings import PROJECT_ROOT

TOPICS_FILE = PROJECT_ROOT / "infra" / "kafka" / "topics.yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("config", mode="before", check_fields=False)
    @classmethod
    def _as_kafka_writes_them(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {str(key): str(item).lower() if isinstance(item, bool) else str(item) for key, item in value.items()}


class _Profile(_Strict):
    min_replication_factor: int = Field(1, ge=1, le=10)
    cap_replication: bool = False
    config: dict[str, str] = {}


class _Topic(_Strict):
    name: str = Field(pattern=r"^[a-zA-Z0-9._-]{1,200}$")
    kind: Literal["streaming", "batch", "events"] = "streaming"
    description: str = ""
    partitions: int = Field(6, ge=1, le=1000)
    replication_factor: int = Field(1, ge=1, le=10)
    config: dict[str, str] = {}


class _File(_Strict):
    profiles: dict[str, _Profile] = {}
    aliases: dict[str, str] = {}
    topics: list[_Topic] = []


def shared_topics(path: Path = TOPICS_FILE) -> list[DesiredTopic]:
    """The topics of the file, in its order.

    Raises:
        UsageError: naming file, field and what is wrong.
    """
    return [
        DesiredTopic(
            topic.name,
            topic.partitions,
            topic.replication_factor,
            topic.config,
            origin=path.name,
            kind=topic.kind,
        )
        for topic in _read(path).topics
    ]


def topic_named(name: str, path: Path = TOPICS_FILE) -> str:
    """The topic that goes by this name: the name itself, unless the file says that it is an alias.

    Raises:
        UsageError: when the file is wrong.
    """
    return _read(path).aliases.get(name, name)


def load_profile(name: str, path: Path = TOPICS_FILE) -> Profile:
    """The profile of that name.

    Raises:
        UsageError: when the file has none of that name, or is wrong.
    """
    profiles = _read(path).profiles
    if name not in profiles:
        raise UsageError(
            f"{path.name} has no profile {name!r}.", fix=f"Use one of: {', '.join(profiles) or '(none defined)'}."
        )
    return Profile(name=name, **profiles[name].model_dump())


def _read(path: Path) -> _File:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", fix="Let this user read it.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = f"{where}: no valid YAML: {getattr(error, 'problem', error)}."
        raise UsageError(problem, fix="Correct the line.") from error
    try:
        return _File.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}" for detail in error.errors()
        )
        raise UsageError(f"{path}: {problems}.", fix="Correct these entries.") from error
