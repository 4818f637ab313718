"""The pace of a soak says whether the wanted number of batches can be reached in the time."""

import pytest

from lakehouse.lake.soak.pace import pace_of


@pytest.mark.parametrize(
    ("batches", "seconds", "wanted", "seconds_left", "said"),
    [
        (170, 600, 1000, 3000, "17.0 batches/min, 1,000 in 49 min"),
        (170, 600, 1000, 1800, "17.0 batches/min, 30 min left: about 680 of 1,000"),
        (170, 600, None, 120, "17.0 batches/min, 2 min left"),
        (1005, 600, 1000, 60, "100.5 batches/min, 1,000 in 0 min"),
        (900, 600, 1000, -5, "90.0 batches/min, 0 min left: about 900 of 1,000"),
        (0, 0, 1000, 600, "0.0 batches/min, 10 min left"),
    ],
)
def test_the_pace_and_what_follows_from_it(
    batches: int, seconds: float, wanted: int | None, seconds_left: float, said: str
) -> None:
    assert pace_of(batches, seconds, wanted=wanted, seconds_left=seconds_left) == said
