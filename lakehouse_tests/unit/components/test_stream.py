"""What one YAML file turns into, read back from the loaded definitions."""

import importlib
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml

from lakehouse.components import LakeResource
from lakehouse.components.runway import build_runway_schedule
from lakehouse.components.stream import build_stream_defs
from lakehouse.components.tables import MODE_TAG, STREAM_TAG
from lakehouse.contracts.load import STREAMS_FOLDER, load_contract, load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.errors import ResumePointGoneError
from lakehouse.lake.monitoring.progress import Backlog
from lakehouse.settings import PROJECT_ROOT

FILES = sorted(STREAMS_FOLDER.glob("*/defs.yaml"))
SALES = load_stream("sales")
SILVER = dg.AssetKey(["silver", "sales"])
BRONZE = dg.AssetKey(["bronze", "sales"])


@pytest.fixture(scope="module")
def sales() -> dg.Definitions:
    return dg.Definitions.merge(build_stream_defs(SALES), dg.Definitions(resources={"lake": LakeResource()}))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_every_stream_loads_through_dagster(path: Path) -> None:
    tree = dg.ComponentTree.for_project(PROJECT_ROOT)
    found = dg.Definitions.merge(
        tree.build_defs_at_path(path.parent), dg.Definitions(resources={"lake": LakeResource()})
    )
    contract = load_contract(path)
    keys = {key.to_user_string() for key in found.resolve_all_asset_keys()}
    topic = f"kafka/{contract.topic.name}"
    upstream = {f"upstream/{contract.name}/{source.name}": f"upstream_{source.family}" for source in contract.upstream}
    history = {f"history/{contract.name}"} if contract.keeps_history else set()
    letters = {f"quarantine/{contract.name}", f"kafka/{contract.topic.dlq}"}
    steps = {"batch/" + source.by.replace(".", "/") for source in contract.upstream if source.by}
    assert keys == {f"bronze/{contract.name}", f"silver/{contract.name}", topic, *upstream, *history, *letters, *steps}
    # Lineage begins at the systems outside, one group per family; a pipeline that reads them stands between.
    graph = found.resolve_asset_graph()
    assert {key: graph.get(dg.AssetKey.from_user_string(key)).group_name for key in upstream} == upstream
    direct = {f"upstream/{contract.name}/{source.name}" for source in contract.upstream if not source.by}
    parents = graph.get(dg.AssetKey.from_user_string(topic)).parent_keys
    assert {key.to_user_string() for key in parents} == direct | steps


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"colour": "red"}, ["colour", "Extra inputs"]),
        ({"mode": "sideways"}, ["mode", "'append', 'upsert' or 'cdc'"]),
        ({"key": ["no_such_field"]}, ["key: no_such_field is no field", "order_id"]),
        ({"freshness": {"warn": "ten"}}, ["freshness.warn", "10m"]),
    ],
)
def test_a_broken_file_names_file_and_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], expected: list[str]
) -> None:
    document = yaml.safe_load((STREAMS_FOLDER / "sales" / "defs.yaml").read_text(encoding="utf-8"))
    document["attributes"] |= change
    package = tmp_path / f"broken_{next(iter(change))}"
    (package / "sales").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "sales" / "defs.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    tree = dg.ComponentTree.from_module(importlib.import_module(package.name), project_root=PROJECT_ROOT)
    with pytest.raises(Exception) as failure:  # noqa: PT011 - Dagster wraps pydantic's error in its own, per version
        tree.build_defs_at_path(".")
    said = "".join(traceback.format_exception(failure.value))
    for text in ["defs.yaml", *expected]:
        assert text in said


class _NearlyExpired(LakeResource):
    """A lake whose oldest unread record the broker deletes in an hour."""

    def backlog(self, contract: StreamContract) -> Backlog:
        if contract.name == "retail":
            raise ResumePointGoneError("Offsets 10 to 20 are gone.")
        today = datetime.now(UTC).date()
        return Backlog(20, [(today, 20)], {0: 5}, contract.topic.name, last_batch=3, silver_batch=3)

    def hours_until_expiry(self, contract: StreamContract, backlog: Backlog, *, now: datetime) -> float:
        return 1.0


def test_one_hourly_run_watches_the_runway_of_every_stream_and_a_failing_one_names_itself() -> None:
    streams = [SALES, load_stream("retail"), load_stream("user_events")]
    found = dg.Definitions.merge(
        *(build_stream_defs(contract) for contract in streams),
        dg.Definitions(schedules=[build_runway_schedule(streams)], resources={"lake": _NearlyExpired()}),
    )
    schedule = found.resolve_schedule_def("runway_hourly")
    assert schedule.cron_schedule == "17 * * * *"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    done = found.resolve_job_def(schedule.job_name).execute_in_process(raise_on_error=False)
    checks = done.get_asset_check_evaluations()
    found_by = [(check.asset_key.path[1], check.check_name, check.passed, check.severity) for check in checks]
    expected = [(name, "retention_runway", False, dg.AssetCheckSeverity.WARN) for name in ("sales", "user_events")]
    assert sorted(found_by) == expected, "no drain is needed, and one that cannot be asked hides no other"
    assert [event.step_key for event in done.get_step_failure_events()] == ["check_bronze_retail"]


def test_tables_describe_themselves(sales: dg.Definitions) -> None:
    spec = sales.get_assets_def(SILVER).specs_by_key[SILVER]
    schema = {column.name: column for column in spec.metadata["dagster/column_schema"].columns}
    assert list(schema)[: len(SALES.fields)] == SALES.field_names
    assert "primary key" in schema["order_id"].constraints.other
    assert schema["customer_id"].tags == {"pii": "true"}
    assert not schema["quantity"].constraints.nullable
    assert spec.owners == SALES.owners
    assert {"spark", "deltalake"} <= spec.kinds
    assert spec.metadata["dagster/table_name"] == "silver.sales"
    lineage = spec.metadata["dagster/column_lineage"].deps_by_column
    assert set(lineage) <= set(schema)
    assert lineage["_offset"] == [dg.TableColumnDep(asset_key=BRONZE, column_name="offset")]


def test_bronze_and_silver_share_one_partitioning_that_includes_today(sales: dg.Definitions) -> None:
    assets = sales.get_assets_def(SILVER)
    by_key = {spec.key: spec.partitions_def for spec in assets.specs}
    assert by_key[BRONZE] == by_key[SILVER] == dg.DailyPartitionsDefinition("2026-01-01", timezone="UTC", end_offset=1)
    assert assets.backfill_policy == dg.BackfillPolicy.single_run()


def test_freshness_owner_and_pool_come_from_the_contract(sales: dg.Definitions) -> None:
    assets = sales.get_assets_def(SILVER)
    policy = assets.specs_by_key[SILVER].freshness_policy
    assert policy == dg.FreshnessPolicy.time_window(
        fail_window=timedelta(minutes=60), warn_window=timedelta(minutes=10)
    )
    assert assets.op.pool == "lake_sales"


def test_one_check_for_each_rule_and_a_blocking_gate(sales: dg.Definitions) -> None:
    specs = {spec.name: spec for checks in sales.asset_checks or [] for spec in checks.check_specs}
    assert {rule.name for rule in SALES.rules} <= set(specs)
    assert {rule.name for rule in SALES.table_rules} <= set(specs)
    assert {name for name, spec in specs.items() if spec.blocking} == {
        "whole",
        "no_duplicates",
        "rejects_within_tolerance",
    }


def test_the_drain_job_switches_the_tables_to_drain_mode(sales: dg.Definitions) -> None:
    job = sales.resolve_job_def("drain_sales")
    assert job.tags[MODE_TAG] == "drain"
    assert job.tags[STREAM_TAG] == "sales"
    assert job.executor_def == dg.in_process_executor
    (sensor,) = sales.sensors or []
    assert sensor.name == "sales_arrivals"
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


def test_code_version_follows_the_contract(sales: dg.Definitions) -> None:
    changed = StreamContract.model_validate({**SALES.model_dump(mode="python"), "description": "Changed on purpose."})
    old = sales.get_assets_def(SILVER).specs_by_key[SILVER].code_version
    assert build_stream_defs(changed).get_assets_def(SILVER).specs_by_key[SILVER].code_version != old
