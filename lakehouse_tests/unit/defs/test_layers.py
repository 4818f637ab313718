"""Batch, speed and serving in Dagster: who runs when silver changes, what a run and the nightly schedule ask for."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from lakehouse.components import LakeResource
from lakehouse.defs.batch.daily_agg.definitions import batch
from lakehouse.defs.serving.definitions import serving
from lakehouse.defs.speed.assets import SILVER
from lakehouse.defs.speed.definitions import speed
from lakehouse.lake.batch.daily_views import DailyAggReport
from lakehouse.lake.serving.kpi_page import KpiPage
from lakehouse.lake.serving.view import Kpis
from lakehouse.lake.speed.run import SpeedSummary
from lakehouse.lake.speed.writer import SpeedReport

BOUNDARY = date(2026, 11, 19)
SPEED = {("speed", name) for name in ("user_event_counts_1m", "windowed_counts", "segment_counts_1m", "user_sessions")}


class Recorded(LakeResource):
    """A lake that says what it was asked."""

    def advance_speed(self, report: Callable[[Any], None]) -> SpeedSummary:
        step = SpeedReport("windowed_counts", 3, 17, 40, 2, None, False, 1.5, 9)
        report(step)
        return SpeedSummary([step], {"windowed_counts": 12})

    def build_daily_agg(self, days: list[date]) -> DailyAggReport:
        return DailyAggReport(days, 5 * len(days), 0.5, 4, BOUNDARY)

    def stale_batch_days(self) -> list[date]:
        return [date(2026, 11, 17), BOUNDARY]

    def publish_kpis(self) -> KpiPage:
        figures = {"events": 7, "revenue": 1.5}
        return KpiPage(Path("kpis.html"), Kpis(datetime(2026, 11, 20, tzinfo=UTC), BOUNDARY, figures, [], []))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    layers = [layer() for layer in (batch, speed, serving)]
    return dg.Definitions.merge(*layers, dg.Definitions(assets=[dg.AssetSpec(SILVER)], resources={"lake": Recorded()}))


def test_a_change_of_silver_asks_for_speed_and_serving_together_and_once(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    first = dg.evaluate_automation_conditions(definitions, instance)
    assert first.total_requested == 0
    instance.report_runless_asset_event(dg.AssetMaterialization(SILVER))
    second = dg.evaluate_automation_conditions(definitions, instance, cursor=first.cursor)
    requested = {tuple(result.key.path) for result in second.results if result.true_subset.size}
    assert requested == SPEED | {("serving", "kpis")}, "the batch view waits for its night"
    third = dg.evaluate_automation_conditions(definitions, instance, cursor=second.cursor)
    assert third.total_requested == 0


def test_a_run_reports_steps_late_rows_and_the_boundary(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = definitions.resolve_job_def("advance_speed").execute_in_process(instance=instance)
    assert result.success
    found = {
        tuple(event.asset_key.path): event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert set(found) == SPEED | {("serving", "kpis")}
    windows = found["speed", "windowed_counts"]
    assert (windows["rows"].value, windows["late"].value, windows["published_rows"].value) == (40, 2, 12)
    assert found["speed", "user_sessions"]["rows"].value == 0
    assert found["serving", "kpis"]["last_complete_day"].value == "2026-11-19"


def test_the_batch_view_is_computed_by_day_and_every_night_where_it_is_old(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    job = definitions.resolve_job_def("build_daily_agg")
    result = job.execute_in_process(instance=instance, partition_key="2026-11-19")
    (event,) = result.get_asset_materialization_events()
    assert event.partition == "2026-11-19"
    assert event.step_materialization_data.materialization.metadata["run_rows"].value == 5
    schedule = definitions.resolve_schedule_def("daily_agg_nightly")
    assert schedule.cron_schedule == "0 2 * * *"
    context = dg.build_schedule_context(
        instance,
        repository_def=definitions.get_repository_def(),
        scheduled_execution_time=datetime(2026, 11, 20, 2, tzinfo=UTC),
        resources={"lake": Recorded()},
    )
    requests = schedule.evaluate_tick(context).run_requests
    assert [request.partition_key for request in requests or []] == ["2026-11-17", "2026-11-19"]
