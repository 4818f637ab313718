"""The code location as a whole: it loads, stays light to import, and says what to do when something is missing."""

import json
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import dagster as dg
import pytest
import yaml

from lakehouse.components.pipeline_assets import DESCRIPTIONS
from lakehouse.contracts.load import load_streams
from lakehouse.contracts.pipelines import load_pipelines
from lakehouse.errors import SetupError
from lakehouse.settings import PROJECT_ROOT, load_settings

BUDGET = """
import json, sys, time
import dagster
started = time.perf_counter()
import lakehouse.definitions
seconds = time.perf_counter() - started
heavy = ["pyspark", "dbt", "confluent_kafka", "dagster_dbt", "deltalake", "duckdb", "pandas", "pyarrow"]
print(json.dumps({"seconds": seconds, "loaded": [name for name in heavy if name in sys.modules]}))
"""


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    from lakehouse.definitions import build_defs
    from lakehouse.engine.embedded.manifest import build_manifest

    build_manifest(load_settings())
    return build_defs()


def test_importing_the_entry_point_is_cheap() -> None:
    results = []
    # The least of several: another process may have the processor meanwhile.
    for _ in range(5):
        process = subprocess.run([sys.executable, "-c", BUDGET], capture_output=True, text=True, check=True)
        results.append(json.loads(process.stdout))
    assert results[0]["loaded"] == []
    assert min(result["seconds"] for result in results) <= 0.5


def test_loading_does_not_import_clients_that_only_runs_need(definitions: dg.Definitions) -> None:
    code = (
        "import sys, lakehouse.definitions as d; d.build_defs();"
        "print([n for n in ('pyspark', 'confluent_kafka', 'deltalake', 'boto3', 'dbt') if n in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


OWN = {"data_quality_alerts", "system_metrics"}
"""Streams about the system itself: they are watched, and no mart is made of them."""


def test_every_stream_reaches_gold(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for stream, contract in load_streams().items():
        topic = dg.AssetKey(["kafka", contract.topic.name])
        assert graph.get(dg.AssetKey(["bronze", stream])).parent_keys == {topic}
        assert graph.get(dg.AssetKey(["silver", stream])).parent_keys == {dg.AssetKey(["bronze", stream])}
        readers = {key.path[0] for key in graph.get(dg.AssetKey(["silver", stream])).child_keys}
        assert "quality" in readers
        assert stream in OWN or readers - {"quality"}, f"nothing reads silver.{stream}"


def test_gold_waits_for_tables_that_exist(definitions: dg.Definitions) -> None:
    from lakehouse.defs.gold.definitions import watched_tables

    watched = set(watched_tables())
    assert watched <= set(definitions.resolve_asset_graph().get_all_asset_keys())
    assert {dg.AssetKey(["bronze", "sales"]), dg.AssetKey(["history", "customers"])} <= watched


def test_every_sensor_is_on_from_the_start_but_those_of_pipelines_that_are_off(definitions: dg.Definitions) -> None:
    sensors = definitions.get_repository_def().sensor_defs
    assert {f"{stream}_arrivals" for stream in load_streams()} | {
        "dbt_automation",
        "speed_automation",
        "failed_runs",
        "check_results",
    } <= {sensor.name for sensor in sensors}
    off = {sensor.name for sensor in sensors if sensor.default_status != dg.DefaultSensorStatus.RUNNING}
    pipelines = load_pipelines().values()
    catching_up = {f"{pipeline.name}_catch_up" for pipeline in pipelines if pipeline.catchup}
    waiting = {f"wait_for_{pipeline.wait_for.pipeline}" for pipeline in pipelines if pipeline.wait_for}
    assert off == catching_up | waiting


def test_conditions_are_only_asked_after_something_happened(definitions: dg.Definitions) -> None:
    from lakehouse.components.automation import Automation

    sensors = definitions.get_repository_def().sensor_defs
    asking = {type(sensor) for sensor in sensors if isinstance(sensor, dg.AutomationConditionSensorDefinition)}
    assert asking == {Automation}, "one of Dagster's own, made by a component or by hand, asks for ever"


def test_every_schedule_is_in_utc_and_belongs_to_a_job(definitions: dg.Definitions) -> None:
    schedules = definitions.get_repository_def().schedule_defs
    assert {schedule.execution_timezone for schedule in schedules} == {"UTC"}, "an hour lost or doubled twice a year"
    crons = {schedule.job_name: schedule.cron_schedule for schedule in schedules}
    assert {
        job: crons[job] for job in ("data_quality", "monitoring_job", "export_daily_figures", "build_daily_agg")
    } == {
        "data_quality": "0 * * * *",
        "monitoring_job": "*/5 * * * *",
        "export_daily_figures": "30 6 * * *",
        "build_daily_agg": "0 2 * * *",
    }
    scheduled = {name for name, pipeline in load_pipelines().items() if pipeline.schedule}
    assert scheduled <= set(crons)


def test_every_table_has_an_owner_a_description_and_kinds(definitions: dg.Definitions) -> None:
    for spec in definitions.resolve_all_asset_specs():
        missing = [name for name in ("owners", "description", "kinds") if not getattr(spec, name)]
        assert not missing, f"{spec.key.to_user_string()} has no {missing}"
        general = [text for text in DESCRIPTIONS.values() if (spec.description or "").startswith(text)]
        assert not general, f"{spec.key.to_user_string()} says of itself only: {general[0]}"


def test_the_groups_of_the_graph_follow_each_other_and_none_is_its_own_source(definitions: dg.Definitions) -> None:
    group_of = {spec.key: spec.group_name for spec in definitions.resolve_all_asset_specs()}
    before: dict[str, set[str]] = {str(group): set() for group in group_of.values()}
    for spec in definitions.resolve_all_asset_specs():
        before[str(spec.group_name)] |= {str(group_of[dep.asset_key]) for dep in spec.deps} - {str(spec.group_name)}
    # Raises when a group comes back to itself: then no picture of the groups reads from left to right.
    order = list(TopologicalSorter(before).static_order())
    path = ["sources", "bronze", "silver", "gold_staging", "gold", "serving"]
    assert [group for group in order if group in path] == path
    assert before["dead_letters"] == {"bronze"}


def test_lineage_begins_outside_also_where_a_pipeline_fills_the_topic(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    outside = {
        dg.AssetKey(["upstream", stream, source.name])
        for stream, contract in load_streams().items()
        for source in contract.upstream
    }
    assert outside <= {spec.key for spec in definitions.resolve_all_asset_specs()}
    assert [key for key in graph.get_all_asset_keys() if key.path[0] == "upstream" and key not in outside] == []
    assert [key for key in outside if not graph.get(key).child_keys] == []
    topic, step = dg.AssetKey(["kafka", "covid-updates"]), ["batch", "covid_etl"]
    assert graph.get(topic).parent_keys == {dg.AssetKey([*step, "covid_updates"])}
    assert {key for key in outside if key.path[1] == "covid_updates"} == graph.get(
        dg.AssetKey([*step, "places"])
    ).parent_keys


def test_resources_can_be_replaced() -> None:
    from lakehouse.components import LakeResource
    from lakehouse.definitions import build_defs

    class Other(LakeResource):
        pass

    assert isinstance(build_defs(resources={"lake": Other()}).resources["lake"], Other)


def test_a_missing_manifest_names_the_command(tmp_path: Path) -> None:
    from lakehouse.defs.gold.assets import require_manifest

    with pytest.raises(SetupError) as failure:
        require_manifest(tmp_path / "manifest.json")
    assert failure.value.fix == "lakehouse setup"


def test_the_workspace_points_at_the_entry_point() -> None:
    workspace = yaml.safe_load((PROJECT_ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    (entry,) = workspace["load_from"]
    assert entry["python_module"]["module_name"] == "lakehouse.definitions"


def test_the_instance_settings_are_accepted_by_dagster(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(
        (PROJECT_ROOT / "infra" / "dagster" / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        pools = instance.get_concurrency_config().pool_config
        assert pools.default_pool_limit == 1
        assert str(pools.pool_granularity) == "PoolGranularity.RUN"
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled


def test_dg_check_works_in_the_project(definitions: dg.Definitions) -> None:
    program = str(Path(sys.executable).with_name("dg"))
    environment = {**os.environ, "DAGSTER_DISABLE_TELEMETRY": "yes", "PYTHONWARNINGS": "ignore"}
    process = subprocess.run(
        [program, "check", "defs"], cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert "All definitions loaded successfully" in process.stdout + process.stderr
