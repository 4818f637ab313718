"""What a benchmark concludes: targets, percentiles, and the tables that people read."""

import pytest

from benchmarks.figures import Figure, between_markers, markdown, weighted_percentile

CONDITIONS = {
    "at": "2026-11-20 12:00 UTC",
    "revision": "abc1234",
    "cores": 2,
    "cpu": "a processor",
    "memory_gb": 23.5,
    "load_before": 0.1,
    "versions": {"Python": "3.11.1"},
    "events": 1_000_000,
    "event_bytes": 370,
}


@pytest.mark.parametrize(
    ("value", "better", "target", "met"),
    [
        (300_000, "higher", 300_000, True),
        (299_999, "higher", 300_000, False),
        (2.5, "lower", 2.5, True),
        (2.6, "lower", 2.5, False),
        (1, "lower", None, None),
    ],
)
def test_a_target_is_met_in_its_own_direction(
    value: float, better: str, target: float | None, met: bool | None
) -> None:
    assert Figure("n", "t", value, "s", better, target=target).is_met is met  # type: ignore[arg-type]


def test_percentiles_count_every_event_of_a_batch() -> None:
    ages = [(3.0, 1), (1.0, 98), (2.0, 1)]
    assert weighted_percentile(ages, 0.5) == 1.0
    assert weighted_percentile(ages, 0.99) == 2.0
    assert weighted_percentile(ages, 1.0) == 3.0
    with pytest.raises(ValueError, match="nothing"):
        weighted_percentile([(1.0, 0)], 0.5)


def test_a_missed_target_is_shown_as_missed_beside_its_limit() -> None:
    figure = Figure("b", "bronze", 280_000, "rows/s", "higher", target=300_000, limit=400_000, limit_title="raw write")
    table = markdown([figure], CONDITIONS)
    assert "| bronze | 280,000 rows/s | ≥ 300,000 rows/s | no | 400,000 rows/s (raw write) |" in table
    assert "revision abc1234: 2 cores" in table


def test_only_the_text_between_the_markers_changes() -> None:
    assert between_markers("a\n<x>\nold\n</x>\nb", "<x>", "</x>", "new\n") == "a\n<x>\nnew\n</x>\nb"
    with pytest.raises(ValueError, match="<x>"):
        between_markers("nothing here", "<x>", "</x>", "new")
