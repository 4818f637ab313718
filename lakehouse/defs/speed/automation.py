"""When a layer above silver is brought up to date: silver is new, and no run of it is under way.

Here: the condition that speed and serving share. Not here: the assets, the sensor.
"""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any

import dagster as dg

from lakehouse.components.pending import until_asked


def stream_condition(tables: Iterable[dg.AssetKey]) -> dg.AutomationCondition[dg.AssetKey]:
    """Ask for a run when any of these tables is new since the last one was asked for.

    Each asset asks about the tables themselves, not about its parents, so that speed and serving are requested
    together: one run, one start.
    """
    condition = dg.AutomationCondition
    is_new: Any = reduce(or_, [condition.asset_matches(key, condition.newly_updated()) for key in sorted(tables)])
    wanted: Any = until_asked(is_new.with_label("tables_changed")) & ~condition.in_progress()
    labelled: dg.AutomationCondition[dg.AssetKey] = wanted.with_label("tables_changed_and_idle")
    return labelled
