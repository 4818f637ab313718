"""What is unusual is learned: few false alarms without a change, one on a planted change, none on short history."""

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.quality.anomalies import LEAST_HISTORY, Point, distance, judge

START = datetime(2026, 1, 5, tzinfo=UTC)
STATED_RATE = 0.01


def weekly(values: list[float]) -> list[Point]:
    return [Point(START + timedelta(weeks=number), value) for number, value in enumerate(values)]


def hourly(values: list[float]) -> list[Point]:
    return [Point(START + timedelta(hours=number), value) for number, value in enumerate(values)]


@pytest.mark.parametrize("length", [8, 12, 24, 60])
@pytest.mark.parametrize("shape", ["normal", "lognormal"])
def test_stationary_figures_raise_fewer_false_alarms_than_stated(length: int, shape: str) -> None:
    """2,000 judgements each, with the spread estimated from the history alone (no floor)."""
    source = random.Random(f"{length}{shape}")
    draw = (lambda: source.gauss(100, 10)) if shape == "normal" else (lambda: source.lognormvariate(6, 0.5))
    scale = "linear" if shape == "normal" else "log"
    alarms = 0
    for _ in range(2_000):
        points = weekly([draw() for _ in range(length + 1)])
        alarms += judge(points[:-1], points[-1], scale=scale, floor=0).is_unusual  # type: ignore[arg-type]
    assert alarms / 2_000 < STATED_RATE


@settings(max_examples=60, deadline=None)
@given(
    level=st.floats(100, 1e6),
    noise=st.floats(0.0, 0.1),
    length=st.integers(LEAST_HISTORY, 100),
    seed=st.integers(0, 2**32),
    factor=st.sampled_from([0.0, 0.2, 5.0, 20.0]),
)
def test_a_planted_drop_or_jump_is_heard(level: float, noise: float, length: int, seed: int, factor: float) -> None:
    source = random.Random(seed)
    history = hourly([level * (1 + source.uniform(-noise, noise)) for _ in range(length)])
    verdict = judge(history, Point(START + timedelta(hours=length), level * factor))
    assert verdict.is_unusual
    assert verdict.low <= verdict.usual <= verdict.high
    assert not verdict.low <= verdict.observed <= verdict.high


@given(values=st.lists(st.floats(0, 1e9), max_size=LEAST_HISTORY - 1), observed=st.floats(0, 1e12))
def test_a_short_history_says_nothing(values: list[float], observed: float) -> None:
    assert judge(hourly(values), Point(START + timedelta(hours=100), observed)).state == "learning"


@given(values=st.lists(st.floats(0, 1e6), min_size=LEAST_HISTORY, max_size=40), seed=st.integers(0, 1000))
def test_the_order_of_the_history_does_not_matter(values: list[float], seed: int) -> None:
    points, newest = hourly(values), Point(START + timedelta(days=30), 10.0)
    shuffled = random.Random(seed).sample(points, len(points))
    assert judge(points, newest) == judge(shuffled, newest)


def test_a_quiet_night_is_usual_and_the_same_at_noon_is_not() -> None:
    """Ten days of a shop that sleeps at night: what counts is the hour."""
    source = random.Random(1)
    history = [
        Point(START + timedelta(days=day, hours=hour), (5 if hour < 6 else 1000) * source.uniform(0.9, 1.1))
        for day in range(10)
        for hour in range(24)
    ]
    night = judge(history, Point(START + timedelta(days=10, hours=3), 5.0))
    noon = judge(history, Point(START + timedelta(days=10, hours=12), 5.0))
    assert (night.state, night.basis) == ("usual", "hour")
    assert noon.state == "unusual"


def test_outliers_in_the_history_do_not_hide_a_drop() -> None:
    values = [1000.0] * 20 + [0.0, 90_000.0, 0.0, 70_000.0]
    verdict = judge(hourly(values), Point(START + timedelta(hours=24), 100.0))
    assert verdict.is_unusual
    assert verdict.usual == pytest.approx(1000.0)


def test_later_figures_and_the_figure_itself_are_no_history() -> None:
    points = hourly([100.0] * 30)
    assert judge(points, points[5]).state == "learning"
    assert judge(points, points[20]).history == 20


def test_judging_many_at_once_widens_the_bounds() -> None:
    history = hourly([100.0 + n % 7 for n in range(40)])
    newest = Point(START + timedelta(hours=40), 103.0)
    alone, together = judge(history, newest), judge(history, newest, tests=50)
    assert together.low < alone.low < alone.high < together.high
    assert judge(history, newest, sides="high").low == -math.inf


_SHARES = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 1), min_size=1).map(
    lambda found: {key: value / sum(found.values()) for key, value in found.items()}
)


@given(one=_SHARES, other=_SHARES)
def test_distance_is_a_distance(one: dict[str, float], other: dict[str, float]) -> None:
    assert distance(one, one) == 0
    assert distance(one, other) == pytest.approx(distance(other, one))
    assert -1e-9 <= distance(one, other) <= 1 + 1e-9
    if not set(one) & set(other):
        assert distance(one, other) == pytest.approx(1)
