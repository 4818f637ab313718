"""Nightly maintenance takes care of what many small steps leave behind, and the position survives it."""

import json
from collections.abc import Callable
from datetime import timedelta

import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake

from lakehouse.contracts.load import load_stream
from lakehouse.lake.maintenance.compaction_plan import ENOUGH_SMALL
from lakehouse.lake.maintenance.upkeep import maintain_stream
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.speed.position import Position, position_of
from lakehouse.settings import Settings
from lakehouse_tests.integration.lake.speed.silver import NOON
from lakehouse_tests.streams import rows_of

pytestmark = pytest.mark.spark


def test_small_files_of_a_speed_table_are_put_together(settings: Settings, topic_name: Callable[[str], str]) -> None:
    path = LakePaths.of(settings).speed("windowed_counts")
    steps = ENOUGH_SMALL + 2
    for step in range(1, steps + 1):
        row = {"window_start": NOON + timedelta(minutes=step), "event_count": step, "_step": step, "is_open": False}
        position = Position(step, "silver", step, step, step, 0, 1)
        write_deltalake(
            path,
            pa.Table.from_pylist([row | {"day": NOON.date()}]),
            mode="append",
            partition_by=["day", "is_open"],
            commit_properties=CommitProperties(
                custom_metadata={"userMetadata": json.dumps(position.to_metadata("windowed_counts"))}
            ),
        )
    before = sorted(rows_of(path, "window_start, event_count, _step"))
    (report,) = maintain_stream(load_stream("user_events"), settings)
    assert (report.layer, report.stream) == ("speed", "windowed_counts")
    assert (report.before.files, report.after.files) == (steps, 1)
    assert sorted(rows_of(path, "window_start, event_count, _step")) == before
    position = position_of(path)
    assert position is not None
    assert position.step == steps
