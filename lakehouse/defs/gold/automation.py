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
    """When gold is built: any of these bronze and silver tables is new, all of them are sound.

    All models are built together: one build publishes one consistent file. So one of them asks for all
    (`defs.gold.assets`). A stream that never ran has no check results and holds nothing back; a check that failed, or
    is being evaluated, does.
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
