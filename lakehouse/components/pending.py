"""When work that reads tables as they are at its start is asked for again. Here: one condition for automation."""

from typing import Any

import dagster as dg


def until_asked(is_new: Any) -> Any:
    """True from when `is_new` was true until a run is asked for that began later.

    Dagster's own `since_last_handled` also ends when a run ends. But the run has pinned its tables when it began: what
    became new meanwhile would count as handled, and be missing until something else is new.
    """
    condition = dg.AutomationCondition
    # What is new at the look after a request came after that request was decided.
    asked = condition.newly_requested() & ~is_new
    return is_new.since((asked | condition.initial_evaluation()).with_label("asked_for"))
