"""Metrics of a router between a weak and a strong variant."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.evaluation.metrics import apgr, cpt, curve, pgr, regret_to_oracle

seeds = st.integers(0, 2**32)


def answers(seed: int, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return (rng.random(n) < 0.6).astype(float), (rng.random(n) < 0.8).astype(float)


def test_a_random_order_recovers_half_the_gap_on_average() -> None:
    weak, strong = answers(1)
    rng = np.random.default_rng(2)
    found = [apgr(rng.random(len(weak)), weak=weak, strong=strong) for _ in range(50)]
    # One run has a standard deviation of about 0.035, so the mean of 50 lies within 0.02 with four standard errors.
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)


@given(seeds)
def test_a_constant_score_is_the_random_router_exactly(seed: int) -> None:
    weak, strong = answers(seed, 400)
    assert apgr(np.zeros(400), weak=weak, strong=strong) == pytest.approx(0.5)
    assert cpt(np.zeros(400), weak=weak, strong=strong, recovered=0.5) == pytest.approx(0.5)


def test_the_area_is_the_one_worked_out_by_hand() -> None:
    # The first half of the calls gains 1 each, the second nothing: PGR rises to 1 at a share of 0.5 and stays.
    weak, strong = np.zeros(20), np.repeat([1.0, 0.0], 10)
    scores = np.arange(20.0)[::-1]
    assert apgr(scores, weak=weak, strong=strong) == pytest.approx(0.75)
    assert apgr(-scores, weak=weak, strong=strong) == pytest.approx(0.25)
    assert cpt(scores, weak=weak, strong=strong, recovered=0.5) == pytest.approx(0.25)
    assert cpt(scores, weak=weak, strong=strong, recovered=0.8) == pytest.approx(0.4)


def test_an_oracle_can_recover_more_than_the_gap() -> None:
    weak, strong = answers(3)
    assert apgr(strong - weak, weak=weak, strong=strong) > 1.0


@given(seeds, st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_a_larger_share_of_the_gap_never_needs_fewer_calls(seed: int, recovered: list[float]) -> None:
    weak, strong = answers(seed, 400)
    scores = np.random.default_rng(seed).random(400)
    found = [cpt(scores, weak=weak, strong=strong, recovered=x) for x in sorted(recovered)]
    assert all(0.0 <= x <= 1.0 for x in found)
    assert found == sorted(found)


@given(seeds)
def test_only_the_order_of_the_scores_counts(seed: int) -> None:
    weak, strong = answers(seed, 300)
    scores = np.random.default_rng(seed).normal(size=300)
    assert apgr(np.exp(scores), weak=weak, strong=strong) == apgr(scores, weak=weak, strong=strong)


@given(seeds)
def test_the_curve_goes_from_all_weak_to_all_strong(seed: int) -> None:
    weak, strong = answers(seed, 123)
    shares, qualities = curve(
        np.random.default_rng(seed).integers(5, size=123).astype(float), weak=weak, strong=strong
    )
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert (qualities[0], qualities[-1]) == pytest.approx((weak.mean(), strong.mean()))


def test_without_a_gap_there_is_nothing_to_recover() -> None:
    with pytest.raises(ValueError, match="better"):
        pgr(0.5, weak=0.6, strong=0.6)


@pytest.mark.parametrize("scores", [np.zeros(2), np.array([0.0, np.nan, 1.0])])
def test_scores_that_fit_no_rows_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one number per row"):
        apgr(scores, weak=np.zeros(3), strong=np.ones(3))


def test_the_oracle_has_no_regret_and_everyone_else_some() -> None:
    utilities = np.array([[0.2, 0.9], [0.5, 0.4]])
    assert regret_to_oracle(utilities, np.array([1, 0])) == 0.0
    assert regret_to_oracle(utilities, np.array([0, 0])) == pytest.approx(0.35)
