"""When gold is built: silver changed, every blocking check below it holds, no build is under way.

Here: the conditions. Not here: the assets (`assets`), the sensor that evaluates it (`definitions`).
"""

from collections.abc import Iterable
from functools import reduce
from operator import and_, or_
from typing import Any

import dagster as dg

from lakehouse.components.pending import until_asked


def lake_is_new_and_sound(tables: Iterable[dg.AssetKey]) -> dg.AutomationCondition[dg.AssetKey]:
    """When a model that reads the lake is built: any of these bronze and silver tables is new, all of them are sound.

    Each asks about all tables, not only about its own, so that all models are requested together: one build publishes
    one consistent file. A stream that never ran has no check results and holds nothing back; a check that failed, or is
    being evaluated, does.
    """
    keys = sorted(tables)
    condition = dg.AutomationCondition
    is_new: Any = reduce(or_, [condition.asset_matches(key, condition.newly_updated()) for key in keys])
    holds_or_unknown = condition.check_passed() | condition.missing()
    is_unsound = condition.any_checks_match(~holds_or_unknown, blocking_only=True)
    is_sound = reduce(and_, [condition.asset_matches(key, ~is_unsound) for key in keys])
    wanted: Any = (
        until_asked(is_new.with_label("silver_changed"))
        & is_sound.with_label("blocking_checks_hold")
        & ~condition.in_progress()
    )
    labelled: dg.AutomationCondition[dg.AssetKey] = wanted.with_label("silver_changed_and_sound")
    return labelled


def with_what_it_reads() -> dg.AutomationCondition[dg.AssetKey]:
    """When a model that reads other models is built: in the same run as they are.

    Asking every model about every table would say the same at five times the cost, at every look.
    """
    condition = dg.AutomationCondition
    together: Any = condition.any_deps_match(condition.will_be_requested())
    labelled: dg.AutomationCondition[dg.AssetKey] = together.with_label("built_with_what_it_reads")
    return labelled
