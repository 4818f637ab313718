"""The schedules that were agreed, and what each starts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from lakehouse.components import LakeResource
from lakehouse.components.exports import build_export_defs
from lakehouse.components.monitoring import build_monitoring_defs
from lakehouse.components.quality import REPORT, build_quality_defs, unusual_check_keys
from lakehouse.components.stream import build_stream_defs
from lakehouse.contracts.load import load_stream

SALES = load_stream("sales")


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return dg.Definitions.merge(
        build_stream_defs(SALES),
        build_quality_defs({"sales": SALES}),
        build_monitoring_defs({"sales": SALES}),
        build_export_defs([]),
        dg.Definitions(resources={"lake": LakeResource()}),
    )


@pytest.mark.parametrize(
    ("schedule", "cron", "job", "keys"),
    [
        ("data_quality_hourly", "0 * * * *", "data_quality", {"quality/results", "quality/report", "quality/alerts"}),
        ("monitoring_every_5_minutes", "*/5 * * * *", "monitoring_job", {"ops/metrics", "ops/audit"}),
        ("daily_export", "30 6 * * *", "export_daily_figures", {"exports/daily_figures"}),
    ],
)
def test_schedules_start_their_jobs(
    definitions: dg.Definitions, schedule: str, cron: str, job: str, keys: set[str]
) -> None:
    found = definitions.resolve_schedule_def(schedule)
    assert found.cron_schedule == cron
    assert found.execution_timezone == "UTC"
    assert found.job_name == job
    assert found.default_status is dg.DefaultScheduleStatus.RUNNING
    assert {key.to_user_string() for key in definitions.resolve_job_def(job).asset_layer.executable_asset_keys} == keys


def test_a_quality_run_survives_a_spark_that_dies_under_it(definitions: dg.Definitions) -> None:
    for key in definitions.resolve_job_def("data_quality").asset_layer.executable_asset_keys:
        retried = definitions.get_assets_def(key).op.retry_policy
        assert retried is not None, f"{key.to_user_string()}: the next run is an hour away"
        assert retried.max_retries >= 2


def test_the_report_has_a_deadline(definitions: dg.Definitions) -> None:
    policy = definitions.get_assets_def(REPORT).specs_by_key[REPORT].freshness_policy
    assert policy == dg.FreshnessPolicy.cron(
        deadline_cron="15 * * * *", lower_bound_delta=timedelta(minutes=15), timezone="UTC"
    )


def test_a_drain_leaves_out_what_is_judged_hourly(definitions: dg.Definitions) -> None:
    checks = definitions.resolve_job_def("drain_sales").asset_layer.executable_asset_keys
    assert {key.to_user_string() for key in checks} == {"bronze/sales", "silver/sales"}
    evaluated = {
        key.name for key in definitions.resolve_job_def("drain_sales").asset_layer.asset_graph.asset_check_keys
    }
    assert "quantity_positive" in evaluated
    assert not evaluated & {key.name for key in unusual_check_keys(SALES)}


def test_without_gold_nothing_is_exported_and_nothing_fails(
    definitions: dg.Definitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    schedule = definitions.resolve_schedule_def("daily_export")
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 3, 1, 6, 30, tzinfo=UTC))
    assert schedule.evaluate_tick(context).run_requests == []
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold" / "gold.duckdb").touch()
    assert len(schedule.evaluate_tick(context).run_requests or []) == 1
