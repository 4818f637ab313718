"""The speed tables against a model in plain Python: any arrival order, any number of steps, any cut between them."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse.errors import BatchConflictError
from lakehouse.lake.ledger import current_version
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.speed.position import position_of
from lakehouse.lake.speed.results import result_named
from lakehouse.lake.speed.run import SpeedSummary, advance
from lakehouse.lake.speed.writer import SpeedWriter
from lakehouse.settings import Settings
from lakehouse_tests.integration.lake.speed.silver import MINUTE, Event, Model, some_events, write_batches
from lakehouse_tests.streams import rows_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark
BATCHES = 12


def utc(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(cell.astimezone(UTC) if isinstance(cell, datetime) else cell for cell in row)


def counts(settings: Settings) -> set[tuple[Any, ...]]:
    table = LakePaths.of(settings).speed("user_event_counts_1m")
    columns = "window_start, user_id, event_type, event_count, total_revenue, last_event, is_open"
    return as_set(rows_of(table, columns))


def closed_windows(settings: Settings) -> set[tuple[Any, ...]]:
    table = LakePaths.of(settings).speed("windowed_counts")
    found = rows_of(table, "window_start, window_end, event_type, event_count, is_open")
    return as_set(row[:4] for row in found if not row[4])


def closed_sessions(settings: Settings) -> set[tuple[Any, ...]]:
    table = LakePaths.of(settings).speed("user_sessions")
    found = rows_of(table, "user_id, session_start, event_count, total_value, is_open")
    return as_set(row[:4] for row in found if not row[4])


def as_set(rows: Any) -> set[tuple[Any, ...]]:
    listed = [utc(row) for row in rows]
    assert len(listed) == len(set(listed)), "nothing is there twice"
    return set(listed)


def assert_equal_to_model(settings: Settings, events: list[Event]) -> None:
    five, ten = Model.of(events, 5 * MINUTE), Model.of(events, 10 * MINUTE)
    assert counts(settings) == {
        (
            start,
            user,
            kind,
            len(members),
            sum(event.revenue for event in members),
            max(event.at for event in members),
            not five.is_closed(start + MINUTE),
        )
        for (start, user, kind), members in five.windows(1, 1).items()
    }
    segments: dict[tuple[datetime, str], int] = defaultdict(int)
    for (start, _, kind), members in five.windows(1, 1).items():
        segments[start, kind] += len(members)
    found = rows_of(LakePaths.of(settings).speed("segment_counts_1m"), "window_start, event_type, event_count, segment")
    # Without a batch view nobody is known yet.
    assert as_set(found) == {(start, kind, count, "new") for (start, kind), count in segments.items()}
    sliding: dict[tuple[datetime, str], int] = defaultdict(int)
    for (start, _, kind), members in ten.windows(5, 1).items():
        sliding[start, kind] += len(members)
    assert closed_windows(settings) == {
        (start, start + 5 * MINUTE, kind, count)
        for (start, kind), count in sliding.items()
        if ten.is_closed(start + 5 * MINUTE)
    }
    assert closed_sessions(settings) == {
        session[:4] for session in ten.sessions() if ten.is_closed(session[4] + 30 * MINUTE)
    }


def late_by_table(summary: SpeedSummary) -> dict[str, int]:
    return {step.table: step.late for step in summary.steps}


def test_results_are_those_of_the_model_after_each_of_several_steps(
    settings: Settings, spark: "SparkSession", monkeypatch: pytest.MonkeyPatch
) -> None:
    events = some_events(1, 150, BATCHES)
    late: dict[str, int] = defaultdict(int)
    first = 0
    for last in (2, 3, BATCHES - 1):
        table = LakePaths.of(settings).speed("windowed_counts")
        stale, version = position_of(table), current_version(table)
        write_batches(LakePaths.of(settings), events, first, last)
        summary = advance(settings)
        for table, count in late_by_table(summary).items():
            late[table] += count
        assert_equal_to_model(settings, [event for event in events if event.batch <= last])
        first = last + 1
    assert advance(settings).steps == [], "a second run finds nothing to do"
    # A writer that slept through the last step must not add it once more.
    monkeypatch.setattr("lakehouse.lake.speed.writer.position_of", lambda _: stale)
    monkeypatch.setattr("lakehouse.lake.speed.writer.current_version", lambda _: version)
    with pytest.raises(BatchConflictError):
        SpeedWriter(settings, spark).step(result_named("windowed_counts"))
    assert_equal_to_model(settings, events)
    wanted = {name: len(Model.of(events, result_named(name).delay).late) for name in late}
    assert late == wanted
    assert min(wanted.values()) > 0
