"""What watches over pipelines: windows that wait, failed and long runs, lost runs, limits, and who is told."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from lakehouse.components import LakeResource
from lakehouse.components.failed_runs import build_failure_sensor
from lakehouse.components.incidents import too_long
from lakehouse.components.pipeline import build_job
from lakehouse.components.pipeline_assets import PIPELINE_TAG, step_key
from lakehouse.components.pipeline_sensors import build_waiting_sensor, overdue
from lakehouse.components.pipeline_upkeep import apply_limits, end_lost_runs
from lakehouse.components.workers import WORKER_TAG, worker_mark
from lakehouse.contracts.pipelines import load_pipelines
from lakehouse.errors import SettingsError
from lakehouse.lake.monitoring.incidents import report_incident
from lakehouse.lake.paths import LakePaths
from lakehouse.ops.incidents import Incident
from lakehouse.settings import Settings, load_settings
from lakehouse_tests.streams import rows_of

PIPELINES = load_pipelines()
TOLD: list[Incident] = []


def listen(incident: Incident, settings: Settings) -> None:
    TOLD.append(incident)


def broken(incident: Incident, settings: Settings) -> None:
    raise ConnectionError("the channel is down")


class ListeningLake(LakeResource):
    def report_incident(self, incident: Incident) -> list[Exception]:
        TOLD.append(incident)
        return []

    def raise_alarms(self, samples: Any, *, is_everything: bool) -> list[Any]:
        return []


@pytest.fixture(autouse=True)
def nobody_was_told() -> None:
    TOLD.clear()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_a_window_runs_once_the_other_pipeline_has_it_and_is_missed_once(instance: dg.DagsterInstance) -> None:
    contract = PIPELINES["downstream_etl"]
    assert contract.wait_for is not None
    sensor = build_waiting_sensor(contract, build_job(contract))
    assert sensor is not None
    assert (sensor.name, sensor.minimum_interval_seconds) == ("wait_for_source_etl", 60)
    yesterday = (datetime.now(tz=UTC).date() - timedelta(days=1)).isoformat()
    # Nothing came within the hour: as if midnight were more than an hour ago, whatever the time is now.
    patient = contract.model_copy(update={"wait_for": contract.wait_for.model_copy(update={"timeout": timedelta(0)})})
    impatient = build_waiting_sensor(patient, build_job(patient))
    assert impatient is not None

    def tick(sensor: dg.SensorDefinition, cursor: str | None) -> dg.SensorResult:
        answer = sensor(dg.build_sensor_context(instance=instance, cursor=cursor, resources={"lake": ListeningLake()}))
        assert isinstance(answer, dg.SensorResult)
        return answer

    first = tick(impatient, None)
    assert not first.run_requests
    assert [(incident.kind, incident.subject, incident.partition) for incident in TOLD] == [
        ("upstream_missing", "downstream_etl", yesterday)
    ]
    tick(impatient, first.cursor)
    assert len(TOLD) == 1, "a window is missed once"
    instance.report_runless_asset_event(
        dg.AssetMaterialization(step_key("source_etl", "final_task"), partition=yesterday)
    )
    arrived = tick(sensor, first.cursor)
    assert [request.partition_key for request in arrived.run_requests or []] == [yesterday]
    instance.report_runless_asset_event(
        dg.AssetMaterialization(step_key("downstream_etl", contract.load[-1].name), partition=yesterday)
    )
    assert not tick(sensor, None).run_requests, "what is done is not asked for again"


def test_an_hour_is_waited_and_no_second_longer() -> None:
    contract = PIPELINES["downstream_etl"]
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    assert not overdue(contract, "2026-03-01", midnight + timedelta(seconds=3599))
    assert overdue(contract, "2026-03-01", midnight + timedelta(seconds=3600))


def test_a_failed_run_is_told_with_its_window(instance: dg.DagsterInstance) -> None:
    @dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-01-01"))
    def fragile() -> None:
        raise ValueError("the disk is full")

    job = dg.define_asset_job("fragile_job", [fragile], tags={PIPELINE_TAG: "fragile"})
    found = dg.Definitions(assets=[fragile], jobs=[job])
    resolved = found.resolve_job_def("fragile_job")
    result = resolved.execute_in_process(instance=instance, partition_key="2026-01-03", raise_on_error=False)
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs",
        dagster_event=result.get_run_failure_event(),
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        resources={"lake": ListeningLake()},
    ).for_run_failure()
    build_failure_sensor()(context)
    (incident,) = TOLD
    assert (incident.kind, incident.subject, incident.partition) == ("run_failed", "fragile", "2026-01-03")
    assert incident.run_id == result.run_id
    assert "fragile" in incident.message


def test_handlers_are_told_one_by_one_and_a_broken_one_silences_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("LAKEHOUSE_INCIDENT_HANDLERS", f"{__name__}:broken, {__name__}:listen")
    incident = Incident(
        "run_failed", "daily_etl", "It failed.", datetime(2026, 3, 1, tzinfo=UTC), partition="2026-02-28"
    )
    failures = report_incident(incident, load_settings())
    assert [str(failure) for failure in failures] == ["the channel is down"]
    assert [incident] == TOLD
    ((kind, stream, details),) = rows_of(LakePaths.of(load_settings()).events, "kind, stream, details")
    assert (kind, stream) == ("alert", "daily_etl")
    assert json.loads(details) == {"kind": "run_failed", "message": "It failed.", "partition": "2026-02-28"}
    monkeypatch.setenv("LAKEHOUSE_INCIDENT_HANDLERS", "lakehouse.ops.nowhere:shout")
    with pytest.raises(SettingsError, match=r"there is no module lakehouse\.ops\.nowhere"):
        report_incident(incident, load_settings())


def started(instance: dg.DagsterInstance, tags: dict[str, str]) -> str:
    @dg.job(name="daily_etl")
    def job() -> None: ...

    run = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTING)
    instance.report_dagster_event(
        dg.DagsterEvent(event_type_value="PIPELINE_START", job_name="daily_etl"), run_id=run.run_id
    )
    return run.run_id


def test_a_run_past_its_limit_is_named_one_within_it_is_not(instance: dg.DagsterInstance) -> None:
    run_id = started(instance, {"dagster/partition": "2026-03-01"})
    records = instance.get_run_records()
    begun = records[0].start_time
    assert begun is not None
    limit = PIPELINES["daily_etl"].sla.max_runtime
    assert limit == timedelta(hours=1)
    inside, outside = (datetime.fromtimestamp(begun, tz=UTC) + limit + timedelta(seconds=late) for late in (-1, 1))
    assert too_long(records, PIPELINES, now=inside) == []
    (incident,) = too_long(records, PIPELINES, now=outside)
    assert (incident.kind, incident.run_id, incident.partition) == ("run_too_long", run_id, "2026-03-01")


def test_only_runs_whose_process_is_gone_are_ended(instance: dg.DagsterInstance) -> None:
    def marked(gone: bool, tags: dict[str, str]) -> str:
        run_id = started(instance, tags)
        mark = worker_mark(run_id)
        host, pid, _, run = mark.rsplit("/", 3)
        instance.add_run_tags(run_id, {WORKER_TAG: f"{host}/{pid}/1/{run}" if gone else mark})
        return run_id

    tags = {PIPELINE_TAG: "daily_etl"}
    alive, lost, drain = marked(False, tags), marked(True, tags), marked(True, {})
    unmarked = started(instance, {})
    first = instance.get_run_by_id(lost)
    assert first is not None
    # A retry begins with the mark of the run that was lost, and may look lost itself until it has made its own.
    retry = started(instance, dict(first.tags))
    assert set(end_lost_runs(instance)) == {lost, drain}, "a drain, too, would hold its stream's pool"
    states = {run.run_id: run.status for run in instance.get_runs()}
    assert states == {
        alive: dg.DagsterRunStatus.STARTED,
        unmarked: dg.DagsterRunStatus.STARTED,
        retry: dg.DagsterRunStatus.STARTED,
        lost: dg.DagsterRunStatus.FAILURE,
        drain: dg.DagsterRunStatus.FAILURE,
    }


def test_pools_get_the_limits_of_the_yaml(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert apply_limits(instance, {"batch_a": 3, "batch_b": 1}) == ["batch_a", "batch_b"]
        assert {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()} == {
            "batch_a": 3,
            "batch_b": 1,
        }
        assert apply_limits(instance, {"batch_a": 2, "batch_b": 1}) == ["batch_a"]
