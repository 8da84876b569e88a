from __future__ import annotations

import numpy as np
import pytest

from gateway.routing.lateness import ENOUGH, WINDOW, Lateness


def noted(ratios: list[float]) -> Lateness:
    made = Lateness()
    for ratio in ratios:
        made.note("a", ratio, stream=True)
    return made


def test_too_few_answers_leave_the_prediction_as_it_is() -> None:
    assert noted([7.0] * (ENOUGH - 1)).quantile("a", stream=True, level=0.95) == 1.0


def test_the_stated_share_of_the_latest_answers_stays_within_the_quantile() -> None:
    ratios = np.random.default_rng(3).lognormal(size=5 * WINDOW).tolist()
    made, latest = noted(ratios), np.array(ratios[-WINDOW:])
    for level in (0.5, 0.9, 0.95, 0.99):
        share = np.mean(latest <= made.quantile("a", stream=True, level=level))
        assert share == pytest.approx(level, abs=2 / WINDOW)


def test_streams_whole_answers_and_variants_are_kept_apart() -> None:
    made = noted([3.0] * ENOUGH)
    assert made.quantile("a", stream=True, level=0.95) == 3.0
    assert made.quantile("a", stream=False, level=0.95) == 1.0
    assert made.quantile("b", stream=True, level=0.95) == 1.0
