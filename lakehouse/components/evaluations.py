"""What is kept of an answer of automation conditions: enough to read in the UI why something was asked for, or not.

Dagster keeps every node of every answer that differs from the one before, for ever: a condition about twenty tables and
their checks is a quarter of a megabyte, several times a minute while events come. Here: what is left out, and when the
rest is deleted. Not here: asking (`components.automation`).
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.asset_graph_view.serializable_entity_subset import SerializableEntitySubset
from dagster._core.definitions.declarative_automation.operators.dep_operators import EntityMatchesCondition
from dagster._core.definitions.declarative_automation.serialized_objects import AutomationConditionEvaluation

KEPT_DAYS = 14


def decisive(evaluation: AutomationConditionEvaluation[Any]) -> AutomationConditionEvaluation[Any]:
    """The same answer with the nodes that settled it: the tables that are new, those that do not hold.

    Below a table there is nothing left: its own page tells which check failed.
    """
    kept = [] if _is_about_a_table(evaluation) else evaluation.child_evaluations
    operator = evaluation.condition_snapshot.operator_type
    if operator in ("or", "and") and all(_is_about_a_table(child) for child in kept):
        settles = _holds if operator == "or" else _fails
        kept = [child for child in kept if settles(child)]
    return replace(evaluation, child_evaluations=[decisive(child) for child in kept])


def forget_old(instance: dg.DagsterInstance) -> None:
    """Delete what is older than `KEPT_DAYS`; Dagster does so only for sensors that its daemon evaluates itself."""
    storage = instance.schedule_storage
    if storage is not None and storage.supports_auto_materialize_asset_evaluations:
        storage.purge_asset_evaluations((datetime.now(UTC) - timedelta(days=KEPT_DAYS)).timestamp())


def _is_about_a_table(evaluation: AutomationConditionEvaluation[Any]) -> bool:
    return evaluation.condition_snapshot.class_name == EntityMatchesCondition.__name__


def _holds(evaluation: AutomationConditionEvaluation[Any]) -> bool:
    return not evaluation.true_subset.is_empty


def _fails(evaluation: AutomationConditionEvaluation[Any]) -> bool:
    """After the first that fails, the others have nothing left to be asked about."""
    asked = evaluation.candidate_subset
    return evaluation.true_subset.is_empty and not (isinstance(asked, SerializableEntitySubset) and asked.is_empty)
