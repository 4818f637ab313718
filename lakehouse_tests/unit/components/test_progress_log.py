"""What a drain reports to Dagster: few events, each row counted once, only days that exist."""

from datetime import date

import dagster as dg
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.components.progress_log import EVERY_SECONDS, ProgressLog
from lakehouse.lake.reports import BatchReport

TODAY = date(2026, 11, 20)
KEYS = {"bronze": dg.AssetKey(["bronze", "sales"]), "silver": dg.AssetKey(["silver", "sales"])}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def log_with(clock: Clock) -> tuple[ProgressLog, list[dg.AssetMaterialization]]:
    events: list[dg.AssetMaterialization] = []
    log = ProgressLog(events.append, KEYS, first=date(2026, 1, 1), last=lambda: TODAY, clock=clock)
    return log, events


def bronze(rows: int, batch: int = 1) -> BatchReport:
    return BatchReport("bronze", "sales", batch, rows, TODAY, 0.5, batch, 0.0, lag_rows=7, latency_seconds=1.25)


def silver(event_dates: dict[str, int], rejected: int = 0) -> BatchReport:
    rows = sum(event_dates.values())
    by_rule = {"quantity_positive": rejected} if rejected else {}
    judged = {"rejected": rejected, "rejected_by_rule": by_rule, "event_dates": event_dates}
    return BatchReport("silver", "sales", 1, rows, TODAY, 0.5, 1, 0.0, **judged)


def number(event: dg.AssetMaterialization, name: str) -> float:
    value = event.metadata[name].value
    assert isinstance(value, int | float), f"{name} must be a plain number to be plotted"
    return value


def test_the_first_batch_shows_at_once_the_next_ones_together() -> None:
    clock = Clock()
    log, events = log_with(clock)
    for batch in range(1, 21):
        clock.now += 1
        log(bronze(10, batch))
    assert len(events) == 2
    assert number(events[0], "rows") == 10
    assert number(events[1], "batches") == EVERY_SECONDS
    assert number(events[1], "lag_rows") == 7
    assert number(events[1], "latency_seconds") == 1.25


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0, 8)), min_size=1, max_size=60))
def test_no_row_is_lost_or_counted_twice(batches: list[tuple[int, float]]) -> None:
    clock = Clock()
    log, events = log_with(clock)
    for rows, pause in batches:
        clock.now += pause
        log(bronze(rows))
    log.flush(without=TODAY)
    logged = sum(number(event, "rows") for event in events) + log.rest("bronze", TODAY).get("rows", 0)
    assert logged == sum(rows for rows, _ in batches)
    assert log.rest("bronze", TODAY) == {}


def test_silver_rows_go_to_the_days_on_which_the_events_happened() -> None:
    log, events = log_with(Clock())
    log(silver({"2026-11-18": 3, "2026-11-20": 4}, rejected=2))
    log.flush()
    rows = {event.partition: number(event, "rows") for event in events}
    assert rows == {"2026-11-18": 3, "2026-11-20": 4}
    rejected = {event.partition: number(event, "rejected") for event in events}
    assert rejected == {"2026-11-18": 0, "2026-11-20": 2}, "rejects belong to the day they arrived"
    assert log.broken == {"quantity_positive": 2}


def test_days_without_a_partition_are_counted_not_invented() -> None:
    log, events = log_with(Clock())
    log(silver({"2025-12-31": 3, "2026-11-21": 2, "2026-11-20": 1}))
    assert {event.partition for event in events} == {"2026-11-20"}
    assert log.outside == 5
