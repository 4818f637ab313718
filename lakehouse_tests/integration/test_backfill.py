"""A backfill of days by Dagster: each day a run, three at once and never more, every day right."""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from lakehouse.components.pipeline_assets import PIPELINE_TAG, pool, step_key, window_in
from lakehouse.components.pipeline_upkeep import apply_limits
from lakehouse.contracts.window import window_of
from lakehouse.lake.paths import LakePaths
from lakehouse.settings import Settings
from lakehouse.sources.batch.shop import orders
from lakehouse_tests.integration.backfills import PIPELINE, has_ended, instance_in, most_at_once, request, work_off
from lakehouse_tests.streams import rows_of

pytestmark = pytest.mark.spark


def expected(days: list[str]) -> list[tuple[Any, ...]]:
    """Day, product and revenue, computed in Python from the source."""
    totals: Counter[tuple[str, str]] = Counter()
    settings: Any = None
    for day in days:
        for row in orders(window_of("daily", day, PIPELINE.start), {"rows": 300, "seed": 1}, settings):
            if row["status"] != "cancelled":
                totals[day, row["product_id"]] += row["quantity"] * row["unit_price"]
    return sorted((day, product, Decimal(revenue)) for (day, product), revenue in totals.items())


def loaded(settings: Settings) -> list[tuple[Any, ...]]:
    table = LakePaths.of(settings).batch(PIPELINE.name, "product_revenue")
    return sorted(rows_of(table, "partition_key, product_id, revenue"))


def test_five_days_three_at_once(settings: Settings, tmp_path: Path) -> None:
    days = [f"2024-01-{day:02d}" for day in range(1, 6)]
    with instance_in(tmp_path / "dagster") as instance:
        assert apply_limits(instance, {pool(PIPELINE.name): PIPELINE.max_active_runs}) == ["batch_backfillable_etl"]
        assert apply_limits(instance, {pool(PIPELINE.name): PIPELINE.max_active_runs}) == [], "once is enough"
        request(instance, days, "five")
        work_off(instance, "five", seconds=400, until=lambda: has_ended(instance, "five"))
        ended = instance.get_backfill("five")
        assert ended is not None
        assert ended.status == BulkActionStatus.COMPLETED_SUCCESS
        assert most_at_once(instance) == 3
        runs = instance.get_runs()
        assert sorted(window_in(run.tags) for run in runs) == days
        assert {run.tags[PIPELINE_TAG] for run in runs} == {PIPELINE.name}
        last = step_key(PIPELINE.name, "product_revenue")
        assert instance.get_materialized_partitions(last) == set(days)
        checks = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [dg.AssetCheckKey(step_key(PIPELINE.name, "orders"), "price_positive")]
        )
        assert checks
    assert loaded(settings) == expected(days)
