"""Pipelines over the sales stream: the hour consolidated, all days as a trend."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from lakehouse.contracts.pipelines import load_pipeline
from lakehouse.contracts.window import key_of, window_of
from lakehouse.lake.batch.news import nothing_new
from lakehouse.lake.batch.run import run_pipeline
from lakehouse.lake.drain import drain
from lakehouse.lake.maintenance.table_files import data_files
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings
from lakehouse_tests.streams import encode, rows_of, sale, sales_on, send

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


@pytest.mark.slow
def test_an_hour_is_consolidated_and_all_days_become_a_trend(
    settings: Settings, topic_name: Callable[[str], str]
) -> None:
    hourly, history = load_pipeline("hourly_sync"), load_pipeline("sales_history")
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    window = window_of("hourly", key_of("hourly", hour), hourly.start)
    assert "nothing was written to silver.sales" in nothing_new(hourly, window, settings)

    contract = sales_on(settings, topic_name("hourly"))
    inside = [sale(seed, at=hour, category="Books") for seed in range(30)]
    before = [sale(seed, at=hour - timedelta(seconds=1), category="Books") for seed in range(30, 45)]
    week_ago = [sale(seed, at=hour - timedelta(days=7), category="Books") for seed in range(45, 50)]
    events = [*inside, *before, *week_ago]
    send(settings, contract.topic.name, map(encode, events))
    small = settings.model_copy(update={"max_batch_rows": 8})
    assert drain(contract, small, budget_seconds=600, idle_seconds=0).silver_rows == len(events)
    assert nothing_new(hourly, window, settings) == ""
    later = window_of("hourly", key_of("hourly", hour + timedelta(hours=3)), hourly.start)
    assert "nothing was written" in nothing_new(hourly, later, settings)

    paths = LakePaths.of(settings)
    bronze = len(data_files(paths.bronze("sales")))
    rows = sorted(rows_of(paths.bronze("sales"), 'topic_id, partition, "offset", batch, value'))
    reports = {report.step: report for report in run_pipeline(hourly, window.key, settings)}
    assert reports["sales"].rows == len(inside)
    gross = sum((Decimal(str(event["total_price"])) for event in inside), Decimal(0))
    pieces = sum(event["quantity"] for event in inside)
    found = rows_of(paths.batch("hourly_sync", "sales_hourly"), "category, order_lines, pieces, gross_amount")
    assert found == [("Books", len(inside), pieces, gross)]
    assert bronze >= 4
    assert len(data_files(paths.bronze("sales"))) < bronze
    assert reports["consolidate"].details["files_after"] < reports["consolidate"].details["files_before"]  # type: ignore[operator]
    assert sorted(rows_of(paths.bronze("sales"), 'topic_id, partition, "offset", batch, value')) == rows

    run_pipeline(history, "all", settings)
    trend = sorted(rows_of(paths.batch("sales_history", "sales_trend"), "event_date, order_lines, running_total"))
    assert sum(lines for _, lines, _ in trend) == len(events)
    assert trend[-1][2] == sum(Decimal(str(event["total_price"])) for event in events)
    assert trend[0][:2] == ((hour - timedelta(days=7)).date(), len(week_ago))
