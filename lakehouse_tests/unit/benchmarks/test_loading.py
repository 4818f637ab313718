"""COPY against INSERT: both load the same rows, and the bulk way is the faster one by far."""

import time

from benchmarks.loading import compare


def test_the_bulk_way_is_much_faster() -> None:
    insert, copy, ratio = compare(3_000, 3, time.process_time)
    assert ratio.value == copy.value / insert.value
    # In work, not in time: dozens of times on all machines that were tried, whatever else they and their disks do.
    assert ratio.is_met
