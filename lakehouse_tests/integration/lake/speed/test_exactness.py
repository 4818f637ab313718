"""Killed anywhere, or overtaken by a changed silver, the speed layer ends where an undisturbed run ends."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from lakehouse.engine.crash import SPEED_POINTS
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.speed.position import position_of
from lakehouse.lake.speed.proof import prove
from lakehouse.lake.speed.publish import view_of
from lakehouse.lake.speed.results import result_named
from lakehouse.lake.speed.run import advance
from lakehouse.lake.speed.store import open_store
from lakehouse.settings import Settings
from lakehouse_tests.integration.lake.speed.silver import some_events, write_batches
from lakehouse_tests.integration.lake.speed.test_results import (
    as_set,
    assert_equal_to_model,
    closed_windows,
    counts,
)

pytestmark = pytest.mark.spark


def killed_at(point: str) -> int:
    """Run the command in a process that dies at this point; the exit code."""
    return subprocess.run(
        [sys.executable, "-m", "lakehouse.cli.main", "speed"],
        env={**os.environ, "LAKEHOUSE_CRASH_AT": point},
        capture_output=True,
        timeout=300,
        check=False,
    ).returncode


def views(settings: Settings) -> tuple[set[tuple[object, ...]], set[tuple[object, ...]]]:
    store = open_store(settings)
    minutes, windows = (
        [tuple(row.values()) for row in store.read(view_of(result_named(name))).to_pylist()]
        for name in ("user_event_counts_1m", "windowed_counts")
    )
    return {(row[0], *row[2:]) for row in as_set(minutes)}, as_set(windows)


def test_killed_at_every_point_and_then_overtaken_by_a_changed_silver(settings: Settings) -> None:
    paths = LakePaths.of(settings)
    events = some_events(3, 120, 12)
    write_batches(paths, events, 0, 3)
    advance(settings)
    for number, point in enumerate(SPEED_POINTS):
        write_batches(paths, events, 4 + 2 * number, 5 + 2 * number)
        assert killed_at(point) == -signal.SIGKILL, f"{point} was never reached"
    write_batches(paths, events, 10, 11)
    advance(settings)
    assert_equal_to_model(settings, events)
    assert views(settings) == ({row[:-1] for row in counts(settings)}, closed_windows(settings))

    # Somebody corrected silver: an event moves from one window to another, which no new batch tells of.
    moved = [replace(event, at=event.at - timedelta(minutes=2)) if event.number == 60 else event for event in events]
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake

    silver = DeltaTable(paths.silver("user_events"))
    schema = silver.to_pyarrow_table().schema
    write_deltalake(silver, pa.Table.from_pylist([event.row for event in moved], schema=schema), mode="overwrite")
    steps = advance(settings).steps
    assert all(step.is_rebuild for step in steps)
    assert len(steps) == 4
    assert_equal_to_model(settings, moved)
    assert views(settings) == ({row[:-1] for row in counts(settings)}, closed_windows(settings))
    # A compaction changes files and no row: nothing to do.
    DeltaTable(paths.silver("user_events")).optimize.compact()
    assert advance(settings).steps == []
    position = position_of(paths.speed("windowed_counts"))
    assert position is not None
    assert position.through == 11
    proofs = prove(settings)
    assert {proof.table for proof in proofs} == {"user_event_counts_1m", "windowed_counts", "user_sessions"}
    assert all(proof.holds and proof.rows and proof.late for proof in proofs)
    DeltaTable(paths.speed("windowed_counts")).delete("event_type = 'click' and not is_open")
    assert [(proof.table, proof.unexpected) for proof in prove(settings) if not proof.holds] == [("windowed_counts", 0)]
