"""Scores are least for who says the truth, and the same as scikit-learn's where it has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, mean_pinball_loss

from policies.training.dataset import Dataset
from policies.training.losses import calibration_error, pinball, quality_scores
from tests.training_rows import samples


def test_they_are_scikit_learns() -> None:
    rows = Dataset.of(samples(300))
    said = np.random.default_rng(0).uniform(0.01, 0.99, 300)
    scores = quality_scores(said, rows)
    assert scores["brier"] == pytest.approx(brier_score_loss(rows.quality, said))
    assert scores["log_loss"] == pytest.approx(log_loss(rows.quality, said))
    assert pinball(rows.latency_s, said, level=0.9).mean() == pytest.approx(
        mean_pinball_loss(rows.latency_s, said, alpha=0.9)
    )


def test_one_kind_of_answer_has_no_auc() -> None:
    rows = Dataset.of(samples(50))
    rows.quality[:] = 1.0
    assert quality_scores(np.full(50, 0.9), rows)["auc"] is None


def test_a_calibrated_forecaster_has_a_calibration_error_near_0_and_an_overconfident_one_its_excess() -> None:
    rng = np.random.default_rng(1)
    said = rng.random(20_000)
    seen = (rng.random(20_000) < said).astype(float)
    ones = np.ones(20_000)
    assert calibration_error(said, seen, ones) < 0.01
    assert calibration_error(np.full(20_000, 0.9), seen, ones) == pytest.approx(0.4, abs=0.02)


@given(st.lists(st.floats(0, 100), min_size=20, max_size=50), st.floats(0.05, 0.95))
def test_no_constant_has_less_pinball_loss_than_the_quantile(values: list[float], level: float) -> None:
    seen = np.array(values)
    best = pinball(seen, np.quantile(seen, level, method="inverted_cdf"), level=level).mean()
    others = [pinball(seen, other, level=level).mean() for other in np.linspace(0, 100, 21)]
    assert best <= min(others) + 1e-9
