"""`infra/monitoring/alerts.yaml` and its evaluation: which samples are alerts. Pure; nothing is sent from here.

Here: rules, routes, alerts. Not here: measuring (`ops.host`, `lake.monitoring.metrics`), sending and repeating
(`ops.notify`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lakehouse.contracts.types import parse_duration
from lakehouse.errors import UsageError
from lakehouse.ops.samples import METRICS, Sample
from lakehouse.settings import PROJECT_ROOT

ALERTS_FILE = PROJECT_ROOT / "infra" / "monitoring" / "alerts.yaml"
Severity = Literal["warning", "error", "critical"]
ChannelName = Literal["email", "slack", "pagerduty"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AlertRule(_Strict):
    """Fires for every sample of one of its metrics that lies above the bound; exactly the bound does not."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    metrics: list[str] = Field(min_length=1)
    above: float
    unit: str = ""
    severity: Severity
    summary: str = Field(min_length=3)
    runbook: str

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        unknown = [name for name in names if name not in METRICS]
        if unknown:
            raise ValueError(f"no such metric: {', '.join(unknown)}; known: {', '.join(METRICS)}")
        return names

    @field_validator("runbook")
    @classmethod
    def _there(cls, path: str) -> str:
        if not (PROJECT_ROOT / path).is_file():
            raise ValueError(f"{path} does not exist; every alert has a runbook")
        return path


class AlertConfig(_Strict):
    """The whole file."""

    repeat_after: timedelta
    routes: dict[Severity, list[ChannelName]]
    rules: list[AlertRule]

    @field_validator("repeat_after", mode="before")
    @classmethod
    def _duration(cls, value: object) -> timedelta:
        return parse_duration(value)

    @model_validator(mode="after")
    def _whole(self) -> "AlertConfig":
        names = [rule.name for rule in self.rules]
        if len(set(names)) < len(names):
            raise ValueError("two rules have one name")
        missing = {rule.severity for rule in self.rules} - set(self.routes)
        if missing:
            raise ValueError(f"routes: no channel for severity {', '.join(sorted(missing))}")
        return self

    def rule(self, name: str) -> AlertRule:
        """The rule of that name.

        Raises:
            KeyError: when there is none.
        """
        return {rule.name: rule for rule in self.rules}[name]


@dataclass(frozen=True)
class Alert:
    """Something that somebody should hear.

    Attributes:
        rule: The rule that fired.
        severity: Its severity; decides about the channels.
        summary: One sentence.
        value: The figure.
        bound: What it should not exceed.
        labels: What it is about.
        runbook: Page with what to do, below the project.
        at: When the figure was measured.
    """

    rule: str
    severity: Severity
    summary: str
    value: float
    bound: float
    labels: dict[str, str]
    runbook: str
    at: datetime

    @property
    def key(self) -> str:
        """The same for the same trouble, however often it is found: rule and what it is about, not run and reason."""
        about = [f"{name}={value}" for name, value in sorted(self.labels.items()) if name not in ("run", "reason")]
        return "/".join([self.rule, *about])


def load_alerts(path: Path = ALERTS_FILE) -> AlertConfig:
    """Read and check the file.

    Raises:
        UsageError: naming the file, the field and what is wrong.
    """
    return _load(path, path.stat().st_mtime_ns if path.is_file() else 0)


@cache
def _load(path: Path, _changed: int) -> AlertConfig:
    try:
        return AlertConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no valid YAML: {error}.") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        raise UsageError(f"{path}: {problems}.") from error


def evaluate(config: AlertConfig, samples: Iterable[Sample]) -> list[Alert]:
    """The alerts among these samples, worst first; of one trouble only the largest figure."""
    found: dict[str, Alert] = {}
    for sample in samples:
        for rule in config.rules:
            if sample.metric in rule.metrics and sample.value > rule.above:
                alert = _alert(rule, sample)
                known = found.get(alert.key)
                if known is None or alert.value > known.value:
                    found[alert.key] = alert
    order = {"critical": 0, "error": 1, "warning": 2}
    return sorted(found.values(), key=lambda alert: (order[alert.severity], alert.key))


def _alert(rule: AlertRule, sample: Sample) -> Alert:
    # A metric's own name is a label where a rule has several, so that memory and disk are two troubles.
    labels = {**sample.labels, **({"metric": sample.metric} if len(rule.metrics) > 1 else {})}
    return Alert(
        rule=rule.name,
        severity=rule.severity,
        summary=rule.summary.format_map(_Named(labels, value=sample.value, bound=rule.above, metric=sample.metric)),
        value=sample.value,
        bound=rule.above,
        labels=labels,
        runbook=rule.runbook,
        at=sample.at,
    )


class _Named(dict[str, object]):
    """Labels for a summary; one that a sample lacks is shown as a question mark instead of failing the alert."""

    def __init__(self, labels: dict[str, str], **figures: object) -> None:
        super().__init__({**labels, **figures})

    def __missing__(self, key: str) -> str:
        return "?"
