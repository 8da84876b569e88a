"""Better is never worth less."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.objective import Weights
from policies.types import Estimate
from policies.utility import utilities
from tests.policy_strategies import estimate, estimates, ratios, weights

several = st.lists(estimates, min_size=2, max_size=8)
ROUNDING = 1e-12


@given(several, weights, st.sampled_from(["cost_usd", "latency_s"]), ratios)
def test_cheaper_or_faster_never_lowers_a_utility_nor_its_lead(
    given: list[Estimate], weights: Weights, figure: str, share: float
) -> None:
    lower = msgspec.structs.replace(given[0], **{figure: getattr(given[0], figure) * share})
    before, after = utilities(given, weights), utilities([lower, *given[1:]], weights)
    assert after[0] >= before[0] - ROUNDING
    for own, other in enumerate(before[1:], start=1):
        assert after[0] - after[own] >= before[0] - other - ROUNDING


@given(several, weights, ratios)
def test_higher_quality_never_lowers_a_utility_and_moves_no_other(
    given: list[Estimate], weights: Weights, quality: float
) -> None:
    higher = msgspec.structs.replace(given[0], quality=max(given[0].quality, quality))
    before, after = utilities(given, weights), utilities([higher, *given[1:]], weights)
    assert after[0] >= before[0]
    assert after[1:] == before[1:]


@given(several, weights, st.floats(1e-3, 1e3))
def test_only_the_ratios_of_weights_count(given: list[Estimate], weights: Weights, factor: float) -> None:
    scaled = Weights(speed=weights.speed * factor, cost=weights.cost * factor, accuracy=weights.accuracy * factor)
    assert utilities(given, scaled) == pytest.approx(utilities(given, weights), abs=1e-9)


@given(several, weights, st.floats(1e-6, 1e6))
def test_the_currency_does_not_matter(given: list[Estimate], weights: Weights, rate: float) -> None:
    given = [msgspec.structs.replace(e, cost_usd=round(e.cost_usd, 6)) for e in given]
    exchanged = [msgspec.structs.replace(e, cost_usd=e.cost_usd * rate) for e in given]
    assert utilities(exchanged, weights) == pytest.approx(utilities(given, weights), abs=1e-9)


@given(several, weights)
def test_utilities_lie_between_zero_and_one(given: list[Estimate], weights: Weights) -> None:
    assert all(-ROUNDING <= u <= 1.0 + ROUNDING for u in utilities(given, weights))


@given(several, weights, estimates)
def test_who_is_neither_cheapest_nor_fastest_moves_no_other(
    given: list[Estimate], weights: Weights, slow: Estimate
) -> None:
    slow = msgspec.structs.replace(
        slow, cost_usd=max(e.cost_usd for e in given), latency_s=max(e.latency_s for e in given)
    )
    assert utilities([*given, slow], weights)[:-1] == utilities(given, weights)


def test_free_and_instant_candidates_divide_by_nothing() -> None:
    free = estimate(quality=0.5, cost_usd=0.0, latency_s=0.0)
    assert utilities([free, free], Weights(cost=1, accuracy=1)) == [0.75, 0.75]
    assert utilities([free, estimate(cost_usd=0.1)], Weights(cost=1)) == [1.0, 0.0]


def test_the_largest_figures_there_are_stay_finite() -> None:
    huge = estimate(cost_usd=1e308, latency_s=1e308)
    assert utilities([huge, estimate()], Weights(speed=5e307, cost=5e307))[0] == pytest.approx(0.0)
