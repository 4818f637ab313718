"""A stream that asks for a copy in PostgreSQL gets an asset that is loaded when silver is new; others get nothing."""

import dagster as dg

from lakehouse.components import LakeResource
from lakehouse.components.failures import FAILURE_TAG
from lakehouse.components.stream import build_stream_defs
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.errors import SchemaIncompatibleError
from lakehouse.lake.reports import LoadReport

SALES = load_stream("sales").model_copy(update={"sinks": ["postgres"]})
KEY = dg.AssetKey(["postgres", "sales"])
SILVER = dg.AssetKey(["silver", "sales"])
REPORT = LoadReport("sales", "public.sales", "sales_events[0:0-7]@v3", 7, 1, False, [], 2, 3, 0.5)


class FakeLake(LakeResource):
    def load_postgres(self, contract: StreamContract) -> LoadReport:
        if contract.topic.partitions == 1:
            raise SchemaIncompatibleError("A column cannot follow.", fix="Use another table.")
        return REPORT


def definitions(contract: StreamContract = SALES) -> dg.Definitions:
    return dg.Definitions.merge(build_stream_defs(contract), dg.Definitions(resources={"lake": FakeLake()}))


def test_without_a_sink_in_the_yaml_there_is_none() -> None:
    found = definitions(load_stream("sales"))
    assert not found.resolve_asset_graph().has(KEY)
    assert found.resolve_asset_graph().get(SILVER).child_keys == set()


def test_a_load_is_asked_for_when_silver_is_new_and_once() -> None:
    found = definitions()
    assert found.resolve_asset_graph().get(KEY).parent_keys == {SILVER}
    (sensor,) = [entry for entry in found.get_repository_def().sensor_defs if entry.name == "sales_sinks"]
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    with dg.DagsterInstance.ephemeral() as instance:
        first = dg.evaluate_automation_conditions(defs=found, instance=instance)
        assert first.get_num_requested(KEY) == 0
        instance.report_runless_asset_event(dg.AssetMaterialization(SILVER, partition="2026-11-01"))
        second = dg.evaluate_automation_conditions(defs=found, instance=instance, cursor=first.cursor)
        assert second.get_num_requested(KEY) == 1
        third = dg.evaluate_automation_conditions(defs=found, instance=instance, cursor=second.cursor)
        assert third.get_num_requested(KEY) == 0


def test_the_figures_of_a_load_are_on_the_asset_and_a_typed_error_is_told() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions().resolve_implicit_job_def_def_for_assets([KEY])
        assert job is not None
        assert job.execute_in_process(instance=instance, asset_selection=[KEY]).success
        event = instance.get_latest_materialization_event(KEY)
        assert event is not None
        assert event.asset_materialization is not None
        metadata = {name: value.value for name, value in event.asset_materialization.metadata.items()}
        assert (metadata["rows"], metadata["deleted"], metadata["silver_version"]) == (7, 1, 3)
        narrow = SALES.model_copy(update={"topic": SALES.topic.model_copy(update={"partitions": 1})})
        other = definitions(narrow).resolve_implicit_job_def_def_for_assets([KEY])
        assert other is not None
        result = other.execute_in_process(instance=instance, asset_selection=[KEY], raise_on_error=False)
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        assert run.tags[FAILURE_TAG] == SchemaIncompatibleError.code
