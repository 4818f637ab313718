"""Dagster on the real parts: a tick of the sensor, the run it asks for, the events, the checks, gold's condition."""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest

from lakehouse.components import LakeResource
from lakehouse.components.arrivals import build_arrivals_sensor
from lakehouse.components.failures import FAILURE_TAG, RETRYABLE_TAG
from lakehouse.components.stream import build_stream_defs
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import TopicSpec
from lakehouse.defs.gold.automation import lake_is_new_and_sound
from lakehouse.errors import TopicRecreatedError
from lakehouse.settings import Settings
from lakehouse_tests.integration.kafka.secured import CANARY

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def contract(settings: Settings, topic_name: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> StreamContract:
    """Sales on a topic of its own, created as the contract says; drains and the sensor do not linger."""
    monkeypatch.setenv("LAKEHOUSE_DRAIN_IDLE_SECONDS", "0.5")
    monkeypatch.setattr("lakehouse.components.arrivals.BREATHER_SECONDS", 0.0)
    from lakehouse.kafka.topics import apply_topics, desired_topics

    own = load_stream("sales").model_copy(update={"topic": TopicSpec(name=topic_name("sales"), partitions=2)})
    apply_topics(settings, desired_topics([own]))
    return own


def send(settings: Settings, contract: StreamContract, good: int, bad: int) -> None:
    from confluent_kafka import Producer

    from lakehouse.kafka.client import producer_config

    producer = Producer(producer_config(settings))
    for number in range(good + bad):
        event = {
            "order_id": str(uuid.uuid4()), "store_id": "STORE_BERLIN_MITTE", "product_id": "BOOKS_NOVEL_1",
            "product_name": "Novel", "category": "Books", "quantity": 2 if number < good else -2, "unit_price": 10.0,
            "total_price": 20.0 if number < good else -20.0, "sale_timestamp": datetime.now(tz=UTC).isoformat(),
            "customer_id": "CUST_12345", "payment_method": "Cash", "discount": 0.0, "store_location": "Berlin",
        }  # fmt: skip
        producer.produce(contract.topic.name, json.dumps(event).encode(), key=event["order_id"].encode())
    assert producer.flush(30) == 0


def definitions_of(contract: StreamContract, lake: LakeResource) -> dg.Definitions:
    return dg.Definitions.merge(build_stream_defs(contract), dg.Definitions(resources={"lake": lake}))


def run_request(
    instance: dg.DagsterInstance, contract: StreamContract, request: dg.RunRequest, lake: LakeResource
) -> dg.ExecuteInProcessResult:
    job = definitions_of(contract, lake).resolve_job_def(f"drain_{contract.name}")
    return job.execute_in_process(
        instance=instance, partition_key=request.partition_key, tags=dict(request.tags), raise_on_error=False
    )


def tick(instance: dg.DagsterInstance, contract: StreamContract, lake: LakeResource) -> dg.RunRequest | dg.SkipReason:
    sensor = build_arrivals_sensor(contract, f"drain_{contract.name}", lake)
    answer = sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def test_a_tick_becomes_a_run_that_fills_both_tables_and_judges_them(
    instance: dg.DagsterInstance, settings: Settings, contract: StreamContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = datetime.now(tz=UTC).date().isoformat()
    # A broker without passwords never asks for it; what the run writes down of its settings would show it.
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", CANARY)
    lake = LakeResource()
    assert isinstance(tick(instance, contract, lake), dg.SkipReason), "an empty topic is no work"
    send(settings, contract, good=190, bad=10)
    request = tick(instance, contract, lake)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == today

    result = run_request(instance, contract, request, lake)
    assert result.success, "a few rejects are a warning"
    rows = {"bronze": 0, "silver": 0, "quarantine": 0}
    for event in result.get_asset_materialization_events():
        assert event.partition == today
        metadata = event.step_materialization_data.materialization.metadata
        rows[event.asset_key.path[0]] += metadata["rows"].value if "rows" in metadata else 0  # type: ignore[operator]
    assert rows == {"bronze": 200, "silver": 190, "quarantine": 10}, "every row is counted in exactly one event"

    checks = {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}
    broken = checks["quantity_positive"]
    assert not broken.passed
    assert broken.severity == dg.AssetCheckSeverity.WARN
    assert broken.metadata["broken"].value == 10
    assert broken.metadata["share"].value == 0.05
    for name in ("whole", "no_duplicates", "retention_runway", "rejects_within_tolerance", "one_date_per_key"):
        assert checks[name].passed, name
    assert checks["no_duplicates"].metadata["rows"].value == 200
    assert isinstance(tick(instance, contract, lake), dg.SkipReason), "the table says that all is read"

    silver = dg.AssetKey(["silver", "sales"])
    found = definitions_of(contract, lake)
    backfilled = found.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, partition_key=today, asset_selection=[silver]
    )
    (closing,) = backfilled.asset_materializations_for_node("load_sales")
    assert closing.metadata["rows"].value == 190, "recomputed from bronze it is the same"

    for run in instance.get_runs():
        stored = [dg.serialize_value(run), *(dg.serialize_value(entry) for entry in instance.all_logs(run.run_id))]
        assert len(stored) > 1
        assert not any(CANARY in text for text in stored), "config, tags, events"


def test_too_many_rejects_block_gold_until_the_data_are_sound(
    instance: dg.DagsterInstance, settings: Settings, contract: StreamContract
) -> None:
    lake = LakeResource()
    send(settings, contract, good=10, bad=10)
    request = tick(instance, contract, lake)
    assert isinstance(request, dg.RunRequest)
    result = run_request(instance, contract, request, lake)
    assert not result.success, "a blocking check of severity ERROR fails the run"
    gate = next(e for e in result.get_asset_check_evaluations() if e.check_name == "rejects_within_tolerance")
    assert not gate.passed
    assert gate.severity == dg.AssetCheckSeverity.ERROR
    assert sum(e.asset_key.path[0] == "silver" for e in result.get_asset_materialization_events()) > 0

    silver = dg.AssetKey(["silver", "sales"])

    @dg.asset(key=["gold", "sales_daily"], deps=[silver], automation_condition=lake_is_new_and_sound([silver]))
    def sales_daily() -> None: ...

    found = dg.Definitions.merge(definitions_of(contract, lake), dg.Definitions(assets=[sales_daily]))
    first = dg.evaluate_automation_conditions(found, instance)
    assert first.total_requested == 0
    send(settings, contract, good=400, bad=0)
    request = tick(instance, contract, lake)
    assert isinstance(request, dg.RunRequest)
    assert run_request(instance, contract, request, lake).success
    second = dg.evaluate_automation_conditions(found, instance, cursor=first.cursor)
    assert second.total_requested == 1


def test_a_permanent_stop_tags_the_run_and_is_not_retried(
    instance: dg.DagsterInstance, settings: Settings, contract: StreamContract
) -> None:
    calls = []

    class Recreated(LakeResource):
        def drain(self, contract: StreamContract, **_: object) -> None:  # type: ignore[override]
            calls.append(contract.name)
            raise TopicRecreatedError("The topic was made anew.", fix="See docs/runbooks/TOPIC_RECREATED.md.")

    lake = Recreated()
    send(settings, contract, good=1, bad=0)
    request = tick(instance, contract, lake)
    assert isinstance(request, dg.RunRequest)
    result = run_request(instance, contract, request, lake)
    assert not result.success
    assert len(calls) == 1
    (run,) = instance.get_runs()
    assert run.tags[FAILURE_TAG] == "TOPIC_RECREATED"
    assert run.tags[RETRYABLE_TAG] == "false"
    skip = tick(instance, contract, lake)
    assert isinstance(skip, dg.SkipReason)
    assert "TOPIC_RECREATED" in str(skip.skip_message)
