"""What is kept of the answers of automation conditions: why, in few words, and not for ever."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.declarative_automation.serialized_objects import AutomationConditionEvaluation
from dagster._serdes import serialize_value

from lakehouse.components.evaluations import KEPT_DAYS, decisive, forget_old
from lakehouse.defs.gold.automation import lake_is_new_and_sound

DAYS = dg.DailyPartitionsDefinition("2026-01-01")
TABLES = [dg.AssetKey(["silver", f"table_{n:02}"]) for n in range(20)]
NEW, UNSOUND = TABLES[3], TABLES[7]


@dg.asset_check(asset=UNSOUND, blocking=True)
def holds() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False)


@dg.asset(deps=TABLES, automation_condition=lake_is_new_and_sound(TABLES))
def gold() -> None: ...


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp() as found:
        yield found


def tables_of(evaluation: AutomationConditionEvaluation[Any]) -> set[str]:
    named = {evaluation.condition_snapshot.name} if not evaluation.child_evaluations else set()
    return reduce(or_, (tables_of(child) for child in evaluation.child_evaluations), named)


def test_the_tables_that_decided_are_kept(instance: dg.DagsterInstance) -> None:
    tables = [dg.AssetSpec(key, partitions_def=DAYS) for key in TABLES]
    found = dg.Definitions(assets=[*tables, gold], asset_checks=[holds])
    first = dg.evaluate_automation_conditions(found, instance)
    instance.report_runless_asset_event(dg.AssetMaterialization(NEW, partition="2026-01-02"))
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(check_name="holds", passed=False, asset_key=UNSOUND, metadata={})
    )
    (result,) = dg.evaluate_automation_conditions(found, instance, cursor=first.cursor).results
    whole = result.serializable_evaluation
    kept = decisive(whole)
    named = {name for name in tables_of(kept) if name.startswith("silver/")}
    assert named == {NEW.to_user_string(), UNSOUND.to_user_string()}
    assert (kept.key, kept.true_subset, kept.condition_snapshot) == (
        whole.key,
        whole.true_subset,
        whole.condition_snapshot,
    )
    assert len(serialize_value(kept)) < 0.1 * len(serialize_value(whole))


def test_a_condition_about_one_table_still_names_it(instance: dg.DagsterInstance) -> None:
    @dg.asset(deps=[NEW], automation_condition=lake_is_new_and_sound([NEW]))
    def mart() -> None: ...

    found = dg.Definitions(assets=[dg.AssetSpec(NEW), mart])
    (result,) = dg.evaluate_automation_conditions(found, instance).results
    assert NEW.to_user_string() in tables_of(decisive(result.serializable_evaluation))


def test_answers_are_forgotten_in_time(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    found = dg.Definitions(assets=[*(dg.AssetSpec(key) for key in TABLES), gold])
    (result,) = dg.evaluate_automation_conditions(found, instance).results
    storage = instance.schedule_storage
    assert storage is not None
    storage.add_auto_materialize_asset_evaluations(7, [result.serializable_evaluation.with_run_ids(set())])

    def kept() -> int:
        return len(storage.get_auto_materialize_evaluations_for_evaluation_id(7))

    forget_old(instance)
    assert kept() == 1

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # noqa: ARG003 - datetime's own signature
            return datetime.now(UTC) + timedelta(days=KEPT_DAYS + 1)

    monkeypatch.setattr("lakehouse.components.evaluations.datetime", Later)
    forget_old(instance)
    assert kept() == 0
