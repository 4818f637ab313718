"""A backfill of days by Dagster: each day a run, three at once and never more, every day right."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from lakehouse.components.pipeline_assets import PIPELINE_TAG, pool, step_key, window_in
from lakehouse.components.pipeline_upkeep import apply_limits
from lakehouse.components.workers import WORKER_TAG
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
        work_off(instance, until=lambda: has_ended(instance, "five"))
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


def daemons(folder: Path, backfill_id: str) -> "subprocess.Popen[bytes]":
    """The daemons and, as their children, the runs: a process group of their own."""
    command = [sys.executable, "-m", "lakehouse_tests.integration.backfill_worker", str(folder), backfill_id]
    with (folder / "daemons.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_month_killed_on_the_way_goes_on_and_is_whole(settings: Settings, tmp_path: Path) -> None:
    days = [f"2024-01-{day:02d}" for day in range(1, 32)]
    folder = tmp_path / "dagster"
    last = step_key(PIPELINE.name, "product_revenue")
    with instance_in(folder) as instance:
        apply_limits(instance, {pool(PIPELINE.name): PIPELINE.max_active_runs})
        request(instance, days, "january")
        first = daemons(folder, "january")
        wait_until(lambda: len(instance.get_materialized_partitions(last)) >= 5 and working(instance) == 3, first)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        done = instance.get_materialized_partitions(last)
        assert len(done) < len(days), "it was killed on the way"
        second = daemons(folder, "january")
        assert second.wait(3000) == 0
        ended = instance.get_backfill("january")
        assert ended is not None
        assert ended.status == BulkActionStatus.COMPLETED_SUCCESS
        assert instance.get_materialized_partitions(last) == set(days)
        killed = [run for run in instance.get_runs() if run.status == dg.DagsterRunStatus.FAILURE]
        assert 1 <= len(killed) <= 3, "only what worked when the kill came was lost"
        assert most_at_once(instance) == 3
        whole = Counter(window_in(run.tags) for run in instance.get_runs() if run not in killed)
        assert max(whole.values()) == 1, "what was done is not done again"
        assert whole.keys() | done == set(days)
    assert loaded(settings) == expected(days)


def working(instance: dg.DagsterInstance) -> int:
    """Runs that work now and have said in which process."""
    runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    return sum(WORKER_TAG in run.tags for run in runs)


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    while not condition():
        assert process.poll() is None, "the daemons ended too early"
        time.sleep(0.2)
