"""The hull of cost and quality."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.evaluation.hull import aiq, sweep, upper_hull, zero_router

points = st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 100)), min_size=1, max_size=30).map(
    lambda pairs: np.array(pairs, float) / [1000.0, 100.0]
)


@given(points)
def test_no_point_lies_above_the_hull(pairs: np.ndarray) -> None:
    hull = upper_hull(pairs[:, 0], pairs[:, 1])
    assert (hull.value(pairs[:, 0]) >= pairs[:, 1] - 1e-12).all()


@given(points)
def test_the_hull_rises_and_bends_down_only(pairs: np.ndarray) -> None:
    hull = upper_hull(pairs[:, 0], pairs[:, 1])
    slopes = np.diff(hull.qualities) / np.diff(hull.costs)
    assert (slopes > 0).all()
    assert (np.diff(slopes) < 1e-9).all()


@given(points)
def test_the_corners_are_points_from_the_cheapest_to_the_best(pairs: np.ndarray) -> None:
    hull = upper_hull(pairs[:, 0], pairs[:, 1])
    assert {*zip(hull.costs, hull.qualities, strict=True)} <= {(c, q) for c, q in pairs}
    assert hull.costs[0] == pairs[:, 0].min()
    assert hull.qualities[-1] == pairs[:, 1].max()


def test_between_two_corners_lies_their_mix_and_behind_the_last_nothing_more() -> None:
    hull = upper_hull(np.array([1.0, 3.0, 2.0]), np.array([0.4, 0.8, 0.5]))
    assert hull.value(np.array([1.0, 2.0, 3.0, 9.0])) == pytest.approx([0.4, 0.6, 0.8, 0.8])
    assert np.isnan(hull.value(0.5))


def test_aiq_is_the_mean_height_worked_out_by_hand() -> None:
    costs, qualities = np.array([1.0, 3.0]), np.array([0.4, 0.8])
    assert aiq(costs, qualities, cost_min=1.0, cost_max=3.0) == pytest.approx(0.6)
    assert aiq(costs, qualities, cost_min=1.0, cost_max=5.0) == pytest.approx(0.7)
    assert aiq(costs, qualities, cost_min=0.0, cost_max=3.0) == pytest.approx(0.4)
    assert aiq(costs, qualities, cost_min=2.0, cost_max=2.5) == pytest.approx(0.65)


@given(points, points)
def test_a_further_point_never_makes_aiq_smaller(some: np.ndarray, more: np.ndarray) -> None:
    both = np.concatenate((some, more))
    few = aiq(some[:, 0], some[:, 1], cost_min=0.0, cost_max=1.0)
    assert aiq(both[:, 0], both[:, 1], cost_min=0.0, cost_max=1.0) >= few - 1e-12


def test_the_zero_router_is_made_of_the_means_of_the_fixed_variants() -> None:
    hull = zero_router(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 1.0], [0.5, 1.0]]))
    assert (hull.costs.tolist(), hull.qualities.tolist()) == ([2.0, 3.0], [0.25, 1.0])


def test_a_router_that_knows_the_outcomes_beats_the_zero_router() -> None:
    rng = np.random.default_rng(5)
    qualities = (rng.random((2000, 3)) < [0.5, 0.6, 0.7]).astype(float)
    costs = np.tile([1.0, 2.0, 4.0], (2000, 1))
    frontier = sweep(qualities, costs, qualities=qualities, costs=costs, lambdas=np.geomspace(0.1, 100, 30))
    fixed = aiq(costs.mean(axis=0), qualities.mean(axis=0), cost_min=1.0, cost_max=4.0)
    assert aiq(*frontier, cost_min=1.0, cost_max=4.0) > fixed + 0.1


def test_points_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        upper_hull(np.array([1.0]), np.array([np.nan]))
    with pytest.raises(ValueError, match="points"):
        upper_hull(np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="below"):
        aiq(np.ones(1), np.ones(1), cost_min=1.0, cost_max=1.0)
