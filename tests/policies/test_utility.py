"""The ratio formula of documents of schema version 1: better is never worth less, and its numbers stay."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.objective import Weights
from policies.priorities import RATIO_PRIORITIES
from policies.types import Estimate
from policies.utility import ratio_utilities
from tests.policy_strategies import RATIO, Told, candidate, decided, estimate, estimates, ratios, request, weights

several = st.lists(estimates, min_size=2, max_size=8)
ROUNDING = 1e-12


@given(several, weights, st.sampled_from(["cost_usd", "latency_s"]), ratios)
def test_cheaper_or_faster_never_lowers_a_utility_nor_its_lead(
    given: list[Estimate], weights: Weights, figure: str, share: float
) -> None:
    lower = msgspec.structs.replace(given[0], **{figure: getattr(given[0], figure) * share})
    before, after = ratio_utilities(given, weights), ratio_utilities([lower, *given[1:]], weights)
    assert after[0] >= before[0] - ROUNDING
    for own, other in enumerate(before[1:], start=1):
        assert after[0] - after[own] >= before[0] - other - ROUNDING


@given(several, weights, ratios)
def test_higher_quality_never_lowers_a_utility_and_moves_no_other(
    given: list[Estimate], weights: Weights, quality: float
) -> None:
    higher = msgspec.structs.replace(given[0], quality=max(given[0].quality, quality))
    before, after = ratio_utilities(given, weights), ratio_utilities([higher, *given[1:]], weights)
    assert after[0] >= before[0]
    assert after[1:] == before[1:]


@given(several, weights, st.floats(1e-3, 1e3))
def test_only_the_ratios_of_weights_count(given: list[Estimate], weights: Weights, factor: float) -> None:
    scaled = Weights(speed=weights.speed * factor, cost=weights.cost * factor, accuracy=weights.accuracy * factor)
    assert ratio_utilities(given, scaled) == pytest.approx(ratio_utilities(given, weights), abs=1e-9)


@given(several, weights, st.floats(1e-6, 1e6))
def test_the_currency_does_not_matter(given: list[Estimate], weights: Weights, rate: float) -> None:
    given = [msgspec.structs.replace(e, cost_usd=round(e.cost_usd, 6)) for e in given]
    exchanged = [msgspec.structs.replace(e, cost_usd=e.cost_usd * rate) for e in given]
    assert ratio_utilities(exchanged, weights) == pytest.approx(ratio_utilities(given, weights), abs=1e-9)


@given(several, weights)
def test_utilities_lie_between_zero_and_one(given: list[Estimate], weights: Weights) -> None:
    assert all(-ROUNDING <= u <= 1.0 + ROUNDING for u in ratio_utilities(given, weights))


@given(several, weights, estimates)
def test_who_is_neither_cheapest_nor_fastest_moves_no_other(
    given: list[Estimate], weights: Weights, slow: Estimate
) -> None:
    slow = msgspec.structs.replace(
        slow, cost_usd=max(e.cost_usd for e in given), latency_s=max(e.latency_s for e in given)
    )
    assert ratio_utilities([*given, slow], weights)[:-1] == ratio_utilities(given, weights)


def test_free_and_instant_candidates_divide_by_nothing() -> None:
    free = estimate(quality=0.5, cost_usd=0.0, latency_s=0.0)
    assert ratio_utilities([free, free], Weights(cost=1, accuracy=1)) == [0.75, 0.75]
    assert ratio_utilities([free, estimate(cost_usd=0.1)], Weights(cost=1)) == [1.0, 0.0]


def test_the_largest_figures_there_are_stay_finite() -> None:
    huge = estimate(cost_usd=1e308, latency_s=1e308)
    assert ratio_utilities([huge, estimate()], Weights(speed=5e307, cost=5e307))[0] == pytest.approx(0.0)


GOLDEN = {
    "accuracy": {"full": 0.874667, "middle": 0.692, "tiny": 0.52},
    "balanced": {"full": 0.646667, "middle": 0.62, "tiny": 0.7},
    "cost": {"full": 0.241667, "middle": 0.51, "tiny": 0.975},
    "speed": {"full": 0.355, "middle": 0.51, "tiny": 0.975},
}
"""By hand: `a * quality + c * 1 / cost + s * 1 / latency`."""


@pytest.mark.parametrize("hint", RATIO_PRIORITIES)
def test_a_document_of_version_1_decides_by_the_same_numbers_as_ever(hint: str) -> None:
    told = {
        "full": estimate(quality=0.9, cost_usd=5.0, latency_s=3.0),
        "middle": estimate(quality=0.7, cost_usd=2.0, latency_s=2.0),
        "tiny": estimate(quality=0.5, cost_usd=1.0, latency_s=1.0),
    }
    candidates = tuple(candidate(name) for name in told)
    decision = decided(request(weights=RATIO_PRIORITIES[hint]), candidates, RATIO, estimator=Told(told))
    assert {v.variant: v.utility for v in decision.verdicts} == pytest.approx(GOLDEN[hint], abs=1e-6)
    assert decision.choice == max(GOLDEN[hint], key=GOLDEN[hint].__getitem__)
    assert decision.valuation is None
