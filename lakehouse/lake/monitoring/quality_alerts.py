"""From results that are wrong to events of the topic `data-quality-alerts`. Here: which, and what they say.

Not here: sending (`lake.monitoring.outbox`), people and channels (`lake.monitoring.alarms`). An alert's id comes from
what it is about, so that an alert that is sent again after a crash is one row in silver.
"""

from collections.abc import Iterable
from typing import Any

from lakehouse.lake.monitoring.outbox import ALERTS_STREAM, send
from lakehouse.quality.results import CheckResult, stable_id
from lakehouse.settings import Settings

RUNBOOK = "docs/runbooks/alerts/data_quality.md"


def send_alerts(results: Iterable[CheckResult], settings: Settings) -> int:
    """Send an event for each result that is wrong, warnings included; returns how many.

    Results about the table of alerts itself are kept and not sent: they would raise new ones for ever.

    Raises:
        BrokerUnreachableError: not all were acknowledged; send the same results again.
    """
    wrong = [result for result in results if not result.passed and not result.table.endswith(f".{ALERTS_STREAM}")]
    return send(ALERTS_STREAM, "alert_id", [alert_event(result) for result in wrong], settings)


def alert_event(result: CheckResult) -> dict[str, Any]:
    """The event of one result."""
    return {
        "alert_id": stable_id("alert", result.id),
        "raised_at": result.at.isoformat(timespec="microseconds"),
        "table_name": result.table,
        "check_name": result.check,
        "dimension": result.dimension,
        "severity": result.severity,
        "source": result.source,
        "run_id": result.run,
        "rows_checked": result.rows,
        "rows_broken": result.broken,
        "observed": result.observed,
        "expected_low": result.low,
        "expected_high": result.high,
        "message": result.message[:2000],
        "runbook": RUNBOOK,
    }
