"""Intervals cover what they should, and as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.evaluation.estimators import Method, ValueEstimate, dr, ips, snips
from policies.evaluation.intervals import Interval, bootstrap, empirical_bernstein, student
from policies.evaluation.logged import LoggedBatch
from policies.evaluation.report import value_estimates
from tests.logged_worlds import batches, world


def mean_of(terms: np.ndarray) -> ValueEstimate:
    return ValueEstimate(method=Method.IPS, numerators=terms, denominators=np.ones(len(terms)))


@given(batches, st.integers(0, 2**32))
def test_every_interval_holds_its_estimate(batch: LoggedBatch, seed: int) -> None:
    estimates = value_estimates(batch)
    found = bootstrap(estimates, rng=np.random.default_rng(seed), resamples=200)
    for estimate, interval in zip(estimates, found, strict=True):
        assert interval.low - 1e-9 <= interval.high
        if len(batch) > 1:
            assert student(estimate).covers(estimate.value)


def test_students_and_bootstrap_intervals_agree_on_many_harmless_rows() -> None:
    terms = np.random.default_rng(1).normal(0.5, 0.1, 5000)
    by_theory = student(mean_of(terms))
    (resampled,) = bootstrap([mean_of(terms)], rng=np.random.default_rng(2))
    assert (resampled.low, resampled.high) == pytest.approx((by_theory.low, by_theory.high), abs=3e-4)
    assert by_theory.high - by_theory.low == pytest.approx(2 * 1.96 * 0.1 / math.sqrt(5000), rel=0.05)


def test_where_weights_are_skewed_the_bootstrap_covers_more_often_than_students() -> None:
    rng = np.random.default_rng(3)
    covered = np.zeros(2)
    for _ in range(300):
        estimate = mean_of(rng.lognormal(0.0, 1.5, 60))
        truth = math.exp(1.5**2 / 2)
        (resampled,) = bootstrap([estimate], rng=rng, resamples=400)
        covered += (student(estimate).covers(truth), resampled.covers(truth))
    assert covered[1] > covered[0] + 10


def test_intervals_of_dr_ips_and_snips_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(4)
    covered = np.zeros(3)
    for seed in range(300):
        batch, truth = world(seed)
        found = [student(dr(batch)), *bootstrap([ips(batch), snips(batch)], rng=rng, resamples=300)]
        covered += [interval.covers(truth) for interval in found]
    # Of 300 runs at 95 %, between 273 and 297 with a probability above 0.998. The truth is of the same rows, which
    # makes intervals that allow for other rows cover a little more often.
    assert (covered > 270).all(), covered


def test_the_guaranteed_interval_covers_at_least_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    missed = 0
    for _ in range(500):
        terms = (rng.random(30) < 0.05) * 1.0
        missed += not empirical_bernstein(mean_of(terms), low=0.0, high=1.0).covers(0.05)
    assert missed == 0


def test_the_guaranteed_interval_is_the_formula_worked_out_by_hand() -> None:
    terms = np.repeat([0.0, 1.0], 5000)
    log = math.log(4.0 / 0.05)
    margin = math.sqrt(2 * 0.25 * (10_000 / 9999) * log / 10_000) + 7 * log / (3 * 9999)
    interval = empirical_bernstein(mean_of(terms), low=0.0, high=1.0)
    assert (interval.low, interval.high) == pytest.approx((0.5 - margin, 0.5 + margin))


def test_bounds_are_promised_for_means_within_their_range_only() -> None:
    batch, _ = world(6)
    with pytest.raises(ValueError, match="means only"):
        empirical_bernstein(snips(batch), low=0.0, high=1.0)
    with pytest.raises(ValueError, match="outside"):
        empirical_bernstein(mean_of(np.array([0.0, 2.0])), low=0.0, high=1.0)


def test_the_same_seed_gives_the_same_interval() -> None:
    estimates = value_estimates(world(7)[0])
    first, second = (bootstrap(estimates, rng=np.random.default_rng(8), resamples=100) for _ in range(2))
    assert first == second


def test_chunks_of_resamples_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    estimates = value_estimates(world(9)[0])
    whole = bootstrap(estimates, rng=np.random.default_rng(10), resamples=301)
    monkeypatch.setattr("policies.evaluation.intervals.CELLS_PER_CHUNK", 400 * 7)
    assert bootstrap(estimates, rng=np.random.default_rng(10), resamples=301) == whole


def test_a_standard_error_that_rests_on_few_rows_is_trusted_less() -> None:
    # Two of 1,000 rows carry all of the variance: about four degrees of freedom, quantile 2.78 instead of 1.96.
    terms = np.zeros(1000)
    terms[:2] = (1.0, -1.0)
    estimate = mean_of(terms)
    interval = student(estimate)
    assert (interval.high - interval.low) / (2 * estimate.standard_error) == pytest.approx(2.78, abs=0.01)


def test_students_interval_of_a_few_normal_terms_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(12)
    covered = sum(student(mean_of(rng.normal(size=5))).covers(0.0) for _ in range(2000))
    # 2,000 runs at 95 % have a standard deviation of 0.5 %; the normal quantile would cover in 88 %.
    assert covered / 2000 == pytest.approx(0.945, abs=0.02)


def test_of_one_row_nothing_is_said_and_of_equal_rows_everything() -> None:
    rng = np.random.default_rng(11)
    assert bootstrap([mean_of(np.ones(1))], rng=rng) == [Interval(low=-math.inf, high=math.inf)]
    assert bootstrap([mean_of(np.full(9, 0.5))], rng=rng) == [Interval(low=0.5, high=0.5)]
    assert student(mean_of(np.ones(1))) == Interval(low=-math.inf, high=math.inf)
    assert student(mean_of(np.full(9, 0.5))) == Interval(low=0.5, high=0.5)
