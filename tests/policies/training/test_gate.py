"""Gains are told apart from noise, and from nothing."""

from __future__ import annotations

import numpy as np
import pytest

from policies.training.gate import LEAST_ROWS, compare, paired


def test_a_gain_within_its_error_is_none() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(400)
    assert not compare("latency", "a", before=before, after=before + rng.normal(0.02, 0.3, 400)).better
    assert compare("latency", "a", before=before, after=before * 0.9).better


def test_a_fit_that_is_worse_is_found_so_and_one_that_gains_nothing_is_neither() -> None:
    before = np.full(200, 0.5)
    assert compare("latency", "a", before=before, after=before * 1.2).worse
    little = compare("latency", "a", before=before, after=before + np.tile([0.1, -0.1], 100))
    assert (little.worse, little.better) == (False, False)


def test_a_few_rows_say_nothing_either_way() -> None:
    before = np.full(LEAST_ROWS - 1, 0.5)
    for after in (before * 0.1, before * 9.0):
        found = compare("latency", "a", before=before, after=after)
        assert (found.worse, found.better, found.n) == (False, False, LEAST_ROWS - 1)
    assert compare("latency", "a", before=before[:0], after=before[:0]).n == 0


def test_the_gain_of_a_loss_is_a_share_of_it() -> None:
    before = np.full(20, 4.0)
    assert compare("latency", "a", before=before, after=np.full(20, 3.0)).gain == pytest.approx(0.25)
    assert compare("latency", "a", before=np.zeros(20), after=np.zeros(20)).gain == 0.0


def test_rows_count_by_their_weight() -> None:
    gains, weight = np.array([1.0] * 10 + [-1.0] * 10), np.array([3.0] * 10 + [1.0] * 10)
    assert paired(gains, kind="answers", figure="f").gain == pytest.approx(0.0)
    assert paired(gains, kind="answers", figure="f", weight=weight).gain == pytest.approx(0.5)


def test_the_standard_error_is_that_of_a_mean() -> None:
    """One gain in six that is none passes: the share of 400 tests has a standard error of 2 points."""
    rng = np.random.default_rng(1)
    passed = [paired(rng.normal(0.0, 1.0, 50), kind="answers", figure="f").better for _ in range(400)]
    assert 0.10 < np.mean(passed) < 0.22
