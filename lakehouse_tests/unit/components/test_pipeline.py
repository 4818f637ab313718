"""Batch pipelines as Dagster sees them: the facts of each one, its graph, every tick of every schedule."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._utils.schedules import cron_string_iterator
from pydantic import ValidationError

from lakehouse.components import LakeResource
from lakehouse.components.pipeline import KUBERNETES_TAG, MEMORY_TAG, build_job, build_pipeline_defs
from lakehouse.components.pipeline_assets import pool, retry_policy, step_key
from lakehouse.components.pipeline_schedules import build_schedule, request_at
from lakehouse.components.pipeline_sensors import build_catch_up_sensor, missing_windows
from lakehouse.contracts.pipeline import PipelineContract, Resources, Retries
from lakehouse.contracts.pipelines import load_pipelines
from lakehouse.contracts.window import LENGTHS, window_of
from lakehouse.settings import PROJECT_ROOT

PIPELINES = load_pipelines()


def defs_of(name: str) -> dg.Definitions:
    return dg.Definitions.merge(
        build_pipeline_defs(PIPELINES[name]), dg.Definitions(resources={"lake": LakeResource()})
    )


# As the sources give them, or as the file says where they give nothing: schedule, first day, catch-up, retries, minutes
# between them, tags. Every pipeline has its line.
FACTS = {
    "daily_etl": ("0 2 * * *", "2026-01-01", False, 2, 5, {"etl"}),
    "hourly_sync": ("0 * * * *", "2026-01-01", False, 3, 5, {"etl"}),
    "idempotent_etl": ("@daily", "2024-01-01", True, 3, 5, {"etl"}),
    "backfillable_etl": ("@daily", "2024-01-01", True, 3, 5, {"etl"}),
    "etl_sales_store_daily": ("@daily", "2024-01-01", False, 3, 5, {"etl", "auto-generated"}),
    "etl_retail_country_daily": ("40 1 * * *", "2024-01-01", False, 3, 5, {"etl", "auto-generated"}),
    "covid_etl": ("0 6 * * *", "2020-01-22", False, 3, 5, {"etl", "covid"}),
    "market_crypto": ("*/15 * * * *", "2021-01-01", False, 3, 1, {"etl", "market"}),
    "market_forex": ("*/15 * * * *", "2021-01-01", False, 3, 1, {"etl", "market"}),
    "orders_star": ("30 3 * * *", "2026-01-01", False, 3, 5, {"etl"}),
    "orders_bucketed": ("45 3 * * *", None, False, 3, 5, {"etl"}),
    "sales_history": ("15 4 * * *", None, False, 3, 5, {"analysis"}),
    "source_etl": ("@daily", "2026-01-01", False, 3, 5, {"etl"}),
    "user_features": ("0 5 * * *", "2026-01-01", False, 3, 5, {"features"}),
    "downstream_etl": (None, "2026-01-01", False, 3, 5, {"etl"}),
}


def test_every_pipeline_has_its_facts() -> None:
    assert set(FACTS) == set(PIPELINES)


@pytest.mark.parametrize("name", FACTS)
def test_the_facts_of_the_sources_are_what_dagster_gets(name: str) -> None:
    cron, start, catchup, retries, minutes, tags = FACTS[name]
    found = defs_of(name)
    schedules = [(s.name, s.cron_schedule, s.execution_timezone) for s in found.schedules or []]  # type: ignore[union-attr]
    assert schedules == ([(f"{name}_schedule", cron, "UTC")] if cron else [])
    if cron:
        assert found.resolve_schedule_def(f"{name}_schedule").job_name == name
    assert (f"{name}_catch_up" in {sensor.name for sensor in found.sensors or []}) == catchup
    job = found.resolve_job_def(name)
    assert tags <= set(job.tags)
    for assets in found.assets or []:
        assert isinstance(assets, dg.AssetsDefinition)
        for spec in assets.specs:
            assert list(spec.owners) == ["team:data-engineering"]
            assert tags <= set(spec.tags)
            # One window of everything is no partition.
            assert (spec.partitions_def is None) == (start is None)
            if start is not None:
                assert spec.partitions_def.get_first_partition_key().startswith(start)  # type: ignore[union-attr]
        assert assets.op.retry_policy == dg.RetryPolicy(max_retries=retries, delay=60.0 * minutes)
        assert assets.op.pool == pool(name)


def test_what_runs_from_the_start_is_chosen() -> None:
    on = {name for name, contract in PIPELINES.items() if contract.switched_on}
    assert on == {"daily_etl", "hourly_sync"}
    for name, contract in PIPELINES.items():
        schedule = build_schedule(contract, build_job(contract))
        if schedule is not None:
            assert (schedule.default_status == dg.DefaultScheduleStatus.RUNNING) == (name in on)


def test_three_runs_of_the_backfillable_pipeline_one_of_the_others() -> None:
    limits = {name: contract.max_active_runs for name, contract in PIPELINES.items()}
    assert limits.pop("backfillable_etl") == 3
    assert set(limits.values()) == {1}


def ticks(cron: str, start: datetime, end: datetime) -> Iterator[datetime]:
    for moment in cron_string_iterator(start.timestamp(), cron, "UTC"):
        if moment.timestamp() > end.timestamp():
            return
        yield moment


# Clocks change in Europe and in America; a month, a leap February and a year end.
SPANS = [
    ("2026-03-06", "2026-04-02"),
    ("2026-10-23", "2026-11-04"),
    ("2028-02-27", "2028-03-02"),
    ("2026-12-30", "2027-01-02"),
]


@pytest.mark.parametrize("span", SPANS, ids=lambda span: f"{span[0]}…{span[1]}")
@pytest.mark.parametrize("name", [name for name, contract in PIPELINES.items() if contract.schedule])
def test_every_tick_asks_for_the_window_that_has_just_ended_and_none_is_left_out(
    name: str, span: tuple[str, str]
) -> None:
    # A gate leaves windows out on purpose.
    contract = PIPELINES[name].model_copy(update={"gate": None})
    start, end = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in span)
    asked = []
    for moment in ticks(str(contract.schedule), start, end):
        request = request_at(contract, moment)
        assert isinstance(request, dg.RunRequest)
        if contract.cadence == "none":
            assert request.partition_key is None
            continue
        window = window_of(contract.cadence, str(request.partition_key), contract.start)
        assert window.end <= moment < window.end + LENGTHS[contract.cadence]
        asked.append(window.start)
    if contract.cadence != "none":
        length = LENGTHS[contract.cadence]
        assert asked == [asked[0] + number * length for number in range(len(asked))], "each window once, without a gap"
        # The tick at the very end of the span counts as well, where there is one.
        assert len(asked) == (end - start) // length + (asked[-1] + length == end)


def test_before_the_first_window_has_ended_a_tick_asks_for_nothing() -> None:
    answer = request_at(PIPELINES["daily_etl"], datetime(2026, 1, 1, 2, tzinfo=UTC))
    assert isinstance(answer, dg.SkipReason)
    answer = request_at(PIPELINES["daily_etl"], datetime(2026, 1, 2, 2, tzinfo=UTC))
    assert isinstance(answer, dg.RunRequest)
    assert answer.partition_key == answer.run_key == "2026-01-01"


def closed(window: Any) -> str:
    return "the market is closed" if window.day.weekday() >= 5 else ""


def test_a_closed_gate_and_nothing_new_are_skips_with_their_reason() -> None:
    gated = PIPELINES["daily_etl"].model_copy(update={"gate": f"{__name__}:closed"})
    sunday = request_at(gated, datetime(2026, 6, 8, 2, tzinfo=UTC))
    assert isinstance(sunday, dg.SkipReason)
    assert "2026-06-07: the market is closed" in str(sunday.skip_message)
    assert isinstance(request_at(gated, datetime(2026, 6, 9, 2, tzinfo=UTC)), dg.RunRequest)

    class NothingNew(LakeResource):
        def nothing_new(self, pipeline: PipelineContract, partition: str) -> str:
            return "nothing was written"

    hourly = PIPELINES["hourly_sync"]
    schedule = build_schedule(hourly, build_job(hourly))
    assert schedule is not None
    moment = datetime(2026, 6, 9, 2, tzinfo=UTC)
    skip = schedule(dg.build_schedule_context(scheduled_execution_time=moment, resources={"lake": NothingNew()}))
    assert isinstance(skip, dg.SkipReason)
    assert skip.skip_message == "2026-06-09-01:00: nothing was written"


def test_three_extracts_stand_side_by_side_then_join_then_aggregate_then_load() -> None:
    found = defs_of("orders_star")
    graph = found.resolve_asset_graph()

    def parents(step: str) -> set[str]:
        return {key.path[-1] for key in graph.get(step_key("orders_star", step)).parent_keys}

    extracts = {"extract_orders", "extract_customers", "extract_products"}
    assert [parents(name) for name in sorted(extracts)] == [set(), set(), set()]
    assert parents("join_data") == extracts
    assert parents("aggregate") == {"join_data"}
    assert parents("city_category_daily") == {"aggregate"}
    job = found.resolve_job_def("orders_star")
    assert job.executor_def.name == "multiprocess"
    assert found.resolve_job_def("orders_star").partitions_def is not None


def test_checks_of_the_daily_flow_stand_before_the_transforms_and_block() -> None:
    found = defs_of("daily_etl")
    graph = found.resolve_asset_graph()
    orders = found.get_assets_def(step_key("daily_etl", "orders"))
    blocking = {spec.name for spec in orders.check_specs if spec.blocking}
    assert blocking == {"order_id_there", "amount_not_negative", "updated_after_created"}
    chain = ["orders", "orders_clean", "revenue", "daily_revenue", "report"]
    for before, after in itertools.pairwise(chain):
        assert step_key("daily_etl", before) in graph.get(step_key("daily_etl", after)).parent_keys
    policy = found.get_assets_def(step_key("daily_etl", "daily_revenue")).specs_by_key
    assert policy[step_key("daily_etl", "daily_revenue")].freshness_policy == dg.FreshnessPolicy.cron(
        deadline_cron="0 6 * * *", lower_bound_delta=timedelta(hours=4), timezone="UTC"
    )


def test_lineage_crosses_from_streams_and_other_pipelines() -> None:
    found = defs_of("downstream_etl").resolve_asset_graph()
    assert found.get(step_key("downstream_etl", "prices")).parent_keys == {step_key("source_etl", "final_task")}
    history = defs_of("sales_history").resolve_asset_graph()
    assert history.get(step_key("sales_history", "sales")).parent_keys == {dg.AssetKey(["silver", "sales"])}


@pytest.mark.parametrize(
    ("retries", "expected"),
    [
        (Retries.model_validate({"attempts": 0}), None),
        (Retries.model_validate({}), dg.RetryPolicy(max_retries=3, delay=300.0)),
        (
            Retries.model_validate({"attempts": 4, "delay": "10s", "backoff": "exponential", "jitter": True}),
            dg.RetryPolicy(max_retries=4, delay=10.0, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS),
        ),
        (
            Retries.model_validate({"attempts": 1, "backoff": "linear"}),
            dg.RetryPolicy(max_retries=1, delay=300.0, backoff=dg.Backoff.LINEAR),
        ),
    ],
)
def test_retries_are_as_the_yaml_says(retries: Retries, expected: dg.RetryPolicy | None) -> None:
    assert retry_policy(retries) == expected


def test_catch_up_asks_for_what_was_never_run_oldest_first_and_no_more_than_soon_run() -> None:
    contract = PIPELINES["backfillable_etl"]
    due = [f"2024-01-{day:02d}" for day in range(1, 32)]
    first = missing_windows(contract, due, done=["2024-01-01"], live=["2024-01-02"], failed=["2024-01-03"])
    assert first == ["2024-01-04", "2024-01-05", "2024-01-06", "2024-01-07", "2024-01-08"]
    assert missing_windows(contract, due, done=[], live=due[:6], failed=[]) == []
    assert missing_windows(contract, due, done=due, live=[], failed=[]) == []
    week = PIPELINES["idempotent_etl"]
    assert missing_windows(week, due, done=[], live=[], failed=[]) == ["2024-01-25", "2024-01-26"]


def test_the_catch_up_sensor_reads_runs_and_tables_of_the_instance() -> None:
    contract = PIPELINES["idempotent_etl"]
    sensor = build_catch_up_sensor(contract, build_job(contract))
    assert sensor is not None
    last = step_key(contract.name, contract.load[-1].name)
    yesterday = datetime.now(tz=UTC).date() - timedelta(days=1)
    days = [(yesterday - timedelta(days=back)).isoformat() for back in reversed(range(7))]
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(last, partition=days[0]))
        answer = sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(answer, list)
    assert [request.partition_key for request in answer] == days[1:3]
    assert len({request.run_key for request in answer}) == 2


def test_memory_and_processor_of_a_run_are_tags_and_large_runs_go_one_at_a_time() -> None:
    small = defs_of("daily_etl").resolve_job_def("daily_etl").tags
    large = defs_of("sales_history").resolve_job_def("sales_history").tags
    pods = [json.loads(tags[KUBERNETES_TAG])["container_config"]["resources"] for tags in (small, large)]
    assert pods == [
        {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}},
        {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    ]
    assert (small.get(MEMORY_TAG), large.get(MEMORY_TAG)) == (None, "large")
    instance = yaml.safe_load((PROJECT_ROOT / "infra" / "dagster" / "dagster.yaml").read_text(encoding="utf-8"))
    (limit,) = instance["concurrency"]["runs"]["tag_concurrency_limits"]
    assert limit == {"key": MEMORY_TAG, "value": "large", "limit": 1}


@pytest.mark.parametrize("asked", [{"memory": "1G"}, {"memory": "0Mi"}, {"cpu": "half"}, {"disk": "1Gi"}])
def test_resources_that_no_cluster_understands(asked: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Resources.model_validate(asked)
