"""Lengths of answers: log-normal, ended at a limit, and more than was seen where one was cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, truncnorm

from policies.learner.lengths import at_least, lengths

logs = st.floats(-5, 30)
sds = st.floats(0.01, 5)


def one(mu: float, sd: float, limit: float = math.inf) -> tuple[float, float, float]:
    mean, median, high = lengths(np.array([mu]), np.array([sd]), limit_tokens=np.array([limit]))
    return float(mean[0]), float(median[0]), float(high[0])


@given(logs, sds, st.floats(1, 1e6) | st.just(math.inf))
def test_lengths_are_finite_at_least_a_token_and_within_the_limit(mu: float, sd: float, limit: float) -> None:
    mean, median, high = one(mu, sd, limit)
    assert 1.0 <= median <= high <= limit
    assert 1.0 <= mean <= limit
    assert math.isfinite(high)


@pytest.mark.parametrize("limit", [30.0, 100.0, 300.0, math.inf])
def test_the_mean_is_that_of_what_is_left_at_the_limit(limit: float) -> None:
    mu, sd = math.log(100.0), 0.6
    draws = np.exp(norm.rvs(mu, sd, size=200_000, random_state=np.random.default_rng(0)))
    assert one(mu, sd, limit)[0] == pytest.approx(np.minimum(draws, limit).mean(), rel=0.02)


def test_the_upper_quantile_is_the_95th() -> None:
    assert one(4.0, 0.5)[1:] == pytest.approx((math.exp(4.0), math.exp(norm.ppf(0.95, 4.0, 0.5))))


@given(st.floats(0, 14), logs, sds)
def test_a_cut_answer_is_taken_for_at_least_what_was_seen(seen: float, mu: float, sd: float) -> None:
    expected = at_least(seen, mu=mu, sd=sd)
    assert math.isfinite(expected)
    assert expected >= max(seen, mu) - 1e-6


@given(st.floats(-3, 4))
def test_it_is_the_mean_of_a_truncated_normal_variable(a: float) -> None:
    exact = float(truncnorm.mean(a, math.inf))
    assert at_least(5.0 + 0.5 * a, mu=5.0, sd=0.5) == pytest.approx(5.0 + 0.5 * exact, abs=1e-6)


def test_far_beyond_what_was_expected_it_goes_on_smoothly() -> None:
    near, far = (at_least(seen, mu=0.0, sd=1.0) - seen for seen in (4.7, 4.8))
    assert near == pytest.approx(far, rel=0.1)
