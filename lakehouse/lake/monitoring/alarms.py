"""Samples → alerts → people, one caller at a time. Here: putting the parts together under a lock, and the fact of it.

Not here: rules (`ops.alerts`), channels and repetition (`ops.notify`), measuring (`lake.monitoring.metrics`).
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.lake.guards.locks import exclusive
from lakehouse.ops.alerts import Alert, AlertConfig, evaluate, load_alerts
from lakehouse.ops.host import host_name
from lakehouse.ops.incidents import Incident
from lakehouse.ops.notify.channels import configured
from lakehouse.ops.notify.dispatch import Book, Delivery, dispatch
from lakehouse.ops.samples import Sample
from lakehouse.settings import Settings

_LOCK_SECONDS = 60.0
# Metrics for which no sample means that nothing is wrong; of the others no sample means that nobody could look.
_SILENT_WHEN_WELL = {"run_failed", "run_seconds", "data_quality_findings", "latency_seconds"}


def book_path(settings: Settings) -> Path:
    """The memory of what was sent."""
    return settings.home / "alerts" / "sent.json"


def raise_alarms(
    samples: Iterable[Sample], settings: Settings, *, is_everything: bool, now: datetime | None = None
) -> list[Delivery]:
    """Tell people about what is too much in these samples, and that earlier trouble is over.

    Args:
        samples: What was measured.
        settings: Channels and the state folder.
        is_everything: The samples are a whole round of monitoring; else trouble that they do not show may go on.
        now: UTC.
    """
    found, config = list(samples), load_alerts()
    over = covered_rules(config, found) if is_everything else []
    with exclusive(settings.home / "alerts" / "lock", _LOCK_SECONDS):
        return dispatch(
            evaluate(config, found),
            config,
            configured(settings, host_name()),
            Book(book_path(settings)),
            now=now or datetime.now(UTC),
            over=over,
        )


def tell_people(incident: Incident, settings: Settings) -> None:
    """A handler of incidents (`LAKEHOUSE_INCIDENT_HANDLERS`): missing input and long runs go to the alert channels.

    Failed runs are left out: the sensor `failed_runs` tells of them.
    """
    rule = {"upstream_missing": "pipeline_failure", "run_too_long": "long_run"}.get(incident.kind)
    if rule is None:
        return
    config = load_alerts()
    known = config.rule(rule)
    alert = Alert(
        rule=rule,
        severity=known.severity,
        summary=incident.message,
        value=1.0,
        bound=0.0,
        labels={"job": incident.subject, "partition": incident.partition, "run": incident.run_id[:8]},
        runbook=known.runbook,
        at=incident.at,
    )
    with exclusive(settings.home / "alerts" / "lock", _LOCK_SECONDS):
        dispatch([alert], config, configured(settings, host_name()), Book(book_path(settings)), now=incident.at)


def covered_rules(config: AlertConfig, samples: Iterable[Sample]) -> list[str]:
    """Rules about which a round of monitoring can say that nothing is wrong (any more)."""
    measured = {sample.metric for sample in samples} | _SILENT_WHEN_WELL
    return [rule.name for rule in config.rules if set(rule.metrics) <= measured]
