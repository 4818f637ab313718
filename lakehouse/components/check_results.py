"""Asset checks of all runs, dbt's tests among them, into `quality/results` and onto the topic of alerts.

Here: a sensor that reads Dagster's event log behind its cursor. A crash before the cursor moves repeats the work, and
rows and alerts have ids made of the event: nothing is there twice. Not here: the checks.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import RunShardedEventsCursor

from lakehouse.components.quality import JOB
from lakehouse.components.resources import LakeResource
from lakehouse.errors import BrokerUnreachableError
from lakehouse.quality.results import CheckResult, Dimension

EVERY_SECONDS = 30
MOST_EVENTS = 500
# A run's change may be written a little after the time that it bears.
_OVERLAP = timedelta(seconds=5)
_DIMENSIONS: dict[str, Dimension] = {
    "whole": "completeness", "complete": "completeness", "no_duplicates": "uniqueness", "typed": "validity",
    "readable": "validity", "in_time": "timeliness", "retention_runway": "timeliness", "one_date_per_key": "uniqueness",
    "rejects_within_tolerance": "accuracy", "no_failing_days": "accuracy", "volume_as_usual": "volume",
    "distribution_as_usual": "distribution", "freshness_as_usual": "timeliness",
}  # fmt: skip


def build_check_results_sensor() -> dg.SensorDefinition:
    """Sensor `check_results`; on from the start."""

    @dg.sensor(
        name="check_results",
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Keeps the result of every asset check in quality/results and sends failed ones to the topic "
        "data-quality-alerts.",
    )
    def check_results(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        began = datetime.now(UTC)
        sharded = context.instance.event_log_storage.is_run_sharded
        records = context.instance.get_event_records(
            dg.EventRecordsFilter(
                event_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION, after_cursor=_behind(context.cursor)
            ),
            # A log per run has no order over all runs that a cut could go on from.
            limit=None if sharded else MOST_EVENTS,
            ascending=True,
        )
        if not records:
            return dg.SensorResult(skip_reason="No check was evaluated since the last look.")
        results = results_of(context.instance, records)
        new = lake.keep_results(results)
        try:
            sent = lake.send_alerts(results)
        except BrokerUnreachableError as error:
            # The cursor stays, so that the next tick sends them.
            return dg.SensorResult(skip_reason=error.one_line(), cursor=context.cursor)
        return dg.SensorResult(
            skip_reason=f"{len(results)} results, {new} of them new; {sent} alerts sent.",
            cursor=json.dumps({"id": records[-1].storage_id, "looked": began.isoformat()}),
        )

    return check_results


def _behind(cursor: str | None) -> "RunShardedEventsCursor | None":
    """Where the last look ended: for one log of all runs the last event's id, for a log per run the time of the look.

    A run is read whole when it changed since, so events may come again; results and alerts have ids made of the event.
    """
    if not cursor:
        return None
    last = json.loads(cursor)
    return RunShardedEventsCursor(id=last["id"], run_updated_after=datetime.fromisoformat(last["looked"]) - _OVERLAP)


def results_of(instance: dg.DagsterInstance, records: Sequence[dg.EventLogRecord]) -> list[CheckResult]:
    """What these events say; those of the quality job are kept by the job itself."""
    jobs: dict[str, str] = {}
    results = []
    for record in records:
        entry = record.event_log_entry
        if entry.run_id not in jobs:
            run = instance.get_run_by_id(entry.run_id)
            jobs[entry.run_id] = run.job_name if run else ""
        if jobs[entry.run_id] != JOB and entry.dagster_event is not None:
            results.append(_result(entry))
    return results


def _result(entry: dg.EventLogEntry) -> CheckResult:
    event = entry.get_dagster_event()
    said = event.asset_check_evaluation_data
    figures = {
        name: value.value
        for name, value in said.metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
    }
    texts = {name: value.value for name, value in said.metadata.items() if isinstance(value, dg.TextMetadataValue)}
    layer = said.asset_key.path[0]
    is_error = said.severity is dg.AssetCheckSeverity.ERROR
    return CheckResult(
        table=".".join(said.asset_key.path),
        check=said.check_name,
        dimension=_DIMENSIONS.get(said.check_name, "validity" if layer != "gold" else "other"),
        passed=said.passed,
        severity="error" if is_error else "warning",
        source="dbt" if layer == "gold" else "dagster",
        run=entry.run_id,
        at=datetime.fromtimestamp(entry.timestamp, UTC),
        rows=int(figures.get("rows") or 0),
        broken=int(figures.get("broken") or figures.get("dagster_dbt/failed_row_count") or 0),
        observed=_number(figures, "observed", "share"),
        low=_number(figures, "low"),
        high=_number(figures, "high"),
        message=said.description or ("Holds." if said.passed else "Does not hold."),
        details={**figures, **texts},
    )


def _number(figures: dict[str, int | float | None], *names: str) -> float | None:
    for name in names:
        value = figures.get(name)
        if value is not None:
            return float(value)
    return None
