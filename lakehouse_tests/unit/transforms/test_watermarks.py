"""Watermarks depend on batches alone: on which batch an event came in, not on when or in how many steps it is read."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.transforms.watermarks import micros, newest, watermarks_by_batch

DELAY = timedelta(minutes=10)
TOPS = st.dictionaries(st.integers(0, 40), st.integers(0, 10**12), max_size=12)


@given(TOPS, st.lists(st.integers(0, 40), max_size=4))
def test_any_cut_into_steps_gives_the_same_watermarks(tops: dict[int, int], cuts: list[int]) -> None:
    found: dict[int, int] = {}
    seen = None
    edges = [-1, *sorted(cuts), 40]
    for low, high in pairwise(edges):
        step = {batch: top for batch, top in tops.items() if low < batch <= high}
        found |= watermarks_by_batch(step, seen, DELAY)
        seen = newest(step, seen)
    assert found == watermarks_by_batch(tops, None, DELAY)


@given(TOPS)
def test_a_watermark_is_the_newest_of_all_batches_before_less_the_delay(tops: dict[int, int]) -> None:
    marks = watermarks_by_batch(tops, None, DELAY)
    for batch in tops:
        before = [top for other, top in tops.items() if other < batch]
        assert marks.get(batch) == (max(before) - micros(DELAY) if before else None)
