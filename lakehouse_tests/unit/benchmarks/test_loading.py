"""COPY against INSERT: both load the same rows, and the bulk way is the faster one by far."""

from benchmarks.loading import compare


def test_the_bulk_way_is_much_faster() -> None:
    insert, copy, ratio = compare(3_000, 1)
    assert ratio.value == copy.value / insert.value
    # On any machine: it is dozens of times on all that were tried.
    assert ratio.is_met
