"""The fit of a model: planted weights come back, no order of rows matters, separable data stay finite."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.lake.batch.train import fit


def test_planted_weights_come_back() -> None:
    source = np.random.default_rng(7)
    rows = np.column_stack([source.normal(10, 3, 40_000), source.normal(-2, 0.5, 40_000), np.full(40_000, 4.0)])
    scores = -0.5 + 1.2 * (rows[:, 0] - 10) / 3 - 0.8 * (rows[:, 1] + 2) / 0.5
    answers = (source.random(40_000) < 1 / (1 + np.exp(-scores))).astype(float)
    model = fit(rows, answers)
    assert model["weights"] == pytest.approx([1.2, -0.8, 0.0], abs=0.06)
    assert model["intercept"] == pytest.approx(-0.5, abs=0.05)
    assert model["log_loss"] < model["log_loss_of_the_share"] - 0.1
    share = answers.mean()
    assert model["log_loss_of_the_share"] == pytest.approx(
        -(share * math.log(share) + (1 - share) * math.log(1 - share)), abs=1e-6
    )


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 9), st.booleans()), min_size=4, max_size=40).filter(
        lambda found: len({answer for *_, answer in found}) == 2
    )
)
def test_every_fit_is_finite_and_its_area_is_that_of_all_pairs(rows: list[tuple[int, int, bool]]) -> None:
    """Separable data, constant columns, repeated rows: all of these occur."""
    features, answers = np.array([row[:2] for row in rows], float), np.array([row[2] for row in rows], float)
    model = fit(features, answers)
    assert np.isfinite([*model["weights"], model["intercept"], model["log_loss"]]).all()
    assert model["log_loss"] <= model["log_loss_of_the_share"] + 1e-6, "never worse than knowing nothing"
    standard = (features - model["mean"]) / model["scale"]
    # Rounded: rows that are equal have equal chances.
    scores = np.round(1 / (1 + np.exp(-(standard @ model["weights"] + model["intercept"]))), 12)
    pairs = list(product(scores[answers == 1], scores[answers == 0]))
    area = sum(1.0 if one > zero else 0.5 if one == zero else 0.0 for one, zero in pairs) / len(pairs)
    assert model["auc"] == pytest.approx(area, abs=0.02)
