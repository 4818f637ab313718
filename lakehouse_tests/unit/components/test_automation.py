"""Automation sensors: conditions are asked when Dagster recorded something, and never left out because of that."""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.definitions.declarative_automation.serialized_objects import AutomationConditionEvaluation
from dagster._core.definitions.sensor_definition import SensorExecutionData

from lakehouse.components.automation import Automation
from lakehouse.components.pending import until_asked

SILVER, COPY = dg.AssetKey("silver"), dg.AssetKey("copy")


@dg.asset(
    key=COPY,
    deps=[SILVER],
    automation_condition=until_asked(dg.AutomationCondition.any_deps_updated()) & ~dg.AutomationCondition.in_progress(),
)
def copied() -> None: ...


@dg.asset
def looks_like_a_drain() -> None: ...


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp() as found:
        yield found


class Looks:
    """What the daemon does with the sensor: looks, and keeps the cursor of what it has taken."""

    def __init__(self, instance: dg.DagsterInstance, pause_seconds: float = 0) -> None:
        target = dg.AssetSelection.keys(COPY)
        self.sensor = Automation(
            "copies", target=target, minimum_interval_seconds=5, description="", pause_seconds=pause_seconds
        )
        self.definitions = dg.Definitions(assets=[dg.AssetSpec(SILVER), copied], sensors=[self.sensor])
        self.instance, self.cursor = instance, None

    def look(self, *, taken: bool = True) -> SensorExecutionData:
        context = dg.build_sensor_context(self.instance, self.cursor, definitions=self.definitions)
        answer = self.sensor.evaluate_tick(context)
        if taken:
            self.cursor = answer.cursor
        return answer


def is_asked(answer: SensorExecutionData) -> bool:
    return not {"Nothing was recorded", "The conditions were asked"} & {
        (answer.skip_message or "")[:n] for n in (20, 25)
    }


def test_conditions_are_asked_until_nothing_happens_and_again_when_something_does(
    instance: dg.DagsterInstance,
) -> None:
    looks = Looks(instance)
    assert [is_asked(looks.look()) for _ in range(5)] == [True, True, False, False, False]
    instance.report_runless_asset_event(dg.AssetMaterialization(SILVER))
    answer = looks.look()
    assert [request.asset_selection for request in answer.run_requests or []] == [[COPY]]
    assert [is_asked(looks.look()) for _ in range(3)] == [True, False, False]


def test_an_answer_that_dagster_did_not_take_is_given_again(instance: dg.DagsterInstance) -> None:
    looks = Looks(instance)
    while is_asked(looks.look()):
        pass
    instance.report_runless_asset_event(dg.AssetMaterialization(SILVER))
    for _ in range(4):
        assert looks.look(taken=False).run_requests, "the daemon died before it launched the run"
    assert looks.look().run_requests
    assert not looks.look().run_requests


def test_within_a_pause_they_are_asked_when_a_run_has_ended(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, now = Looks(instance, pause_seconds=14), 1000.0
    monkeypatch.setattr("lakehouse.components.automation.time.monotonic", lambda: now)
    assert [is_asked(looks.look()) for _ in range(2)] == [True, False]
    instance.report_runless_asset_event(dg.AssetMaterialization(SILVER))
    assert not looks.look().run_requests
    assert dg.materialize([looks_like_a_drain], instance=instance).success
    assert looks.look().run_requests
    instance.report_runless_asset_event(dg.AssetMaterialization(SILVER))
    assert not is_asked(looks.look())
    now += 14
    assert is_asked(looks.look())


def test_answers_are_kept_short_and_not_for_ever(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[dg.DagsterInstance] = []
    monkeypatch.setattr("lakehouse.components.automation.forget_old", forgotten.append)
    looks = Looks(instance)
    looks.look()
    instance.report_runless_asset_event(dg.AssetMaterialization(SILVER))
    (evaluation,) = looks.look().automation_condition_evaluations
    named = list(names_below(evaluation))
    assert "silver" in named
    assert "newly_updated" not in named, "what was asked about a table is not kept"
    assert forgotten == [instance], "once an hour"


def names_below(evaluation: AutomationConditionEvaluation[dg.AssetKey]) -> Iterator[str | None]:
    yield evaluation.condition_snapshot.name
    for child in evaluation.child_evaluations:
        yield from names_below(child)


def test_what_components_make_of_the_sensor_is_one_that_asks_no_more_than_needed() -> None:
    target = dg.AssetSelection.keys(COPY)
    sensor = Automation(
        "copies", target=target, minimum_interval_seconds=7, description="why", pause_seconds=3, asks_for_all=True
    )
    copy = sensor.with_attributes(metadata={"team": "x"})
    assert type(copy) is Automation
    assert (copy.name, copy.minimum_interval_seconds, copy.description) == ("copies", 7, "why")
    assert (copy.asset_selection, copy.default_status) == (sensor.asset_selection, dg.DefaultSensorStatus.RUNNING)
    assert copy.metadata["team"].value == "x"
    assert (copy._pause, copy._asks_for_all) == (3, True)
