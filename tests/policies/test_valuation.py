"""The linear objective: every variant on the frontier can win, and better is never worth less."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from policies.belief import of_estimates
from policies.objective import Weights
from policies.policy import Formula
from policies.prices import NO_PRICES, Prices
from policies.stakes import Stakes, stakes
from policies.types import Estimate
from policies.utility import LEAST, capped, chord, priced, valuation
from policies.valuation import Valuation
from tests.policy_strategies import NAMES, Told, candidate, decided, estimate, estimates, ratios, request, weights

ACCURACY = Weights(accuracy=1)
several = st.lists(estimates, min_size=1, max_size=8)


def staked(
    given: list[Estimate],
    weights: Weights = ACCURACY,
    *,
    prices: Prices = NO_PRICES,
    prefer: dict[int, float] | None = None,
) -> Stakes:
    return stakes(
        given, of_estimates(given), weights=weights, formula=Formula.LINEAR, prices=prices, prefer=prefer or {}
    )


def values(given: list[Estimate], weights: Weights = ACCURACY, **of: object) -> list[float]:
    found: list[float] = staked(given, weights, **of).value(of_estimates(given).level).tolist()  # type: ignore[arg-type]
    return found


def chosen(given: list[Estimate], weights: Weights) -> int:
    told = dict(zip(NAMES, given, strict=False))
    candidates = tuple(candidate(name) for name in told)
    return list(told).index(decided(request(weights=weights), candidates, estimator=Told(told)).choice or "")


def hull(points: list[tuple[float, float]]) -> list[int]:
    """Points on the upper hull from the leftmost to the highest, by their places; by brute force over slopes."""
    best = max(range(len(points)), key=lambda i: points[i][1])
    found = [min(range(len(points)), key=lambda i: points[i][0])]
    while found[-1] != best:
        x, y = points[found[-1]]
        right = [i for i, (more, _) in enumerate(points) if more > x]
        found.append(max(right, key=lambda i: (points[i][1] - y) / (points[i][0] - x)))
    return found


@st.composite
def frontiers(draw: st.DrawFn) -> list[tuple[float, float]]:
    """Distinct costs from 1 to 1,000 and distinct qualities, in thousandths."""
    k = draw(st.integers(2, 8))
    costs = draw(st.lists(st.integers(1, 1000), min_size=k, max_size=k, unique=True))
    goods = draw(st.lists(st.integers(0, 1000), min_size=k, max_size=k, unique=True))
    return [(cost / 1e3, good / 1e3) for cost, good in zip(costs, goods, strict=True)]


@given(frontiers(), st.sampled_from(["cost", "speed"]))
def test_every_variant_on_the_hull_is_chosen_by_some_weights(
    points: list[tuple[float, float]], what: Literal["cost", "speed"]
) -> None:
    figure = {"cost": "cost_usd", "speed": "latency_s"}[what]
    given = [estimate(quality=good, **{figure: much}) for much, good in points]
    on_hull = hull(points)
    slopes = [(points[b][1] - points[a][1]) / (points[b][0] - points[a][0]) for a, b in itertools.pairwise(on_hull)]
    assume(all(a - b > 1e-6 for a, b in itertools.pairwise(slopes)))
    slope = chord(np.array([good for _, good in points]), np.array([much for much, _ in points]))
    for number, arm in enumerate(on_hull):
        above = slopes[number] if number < len(slopes) else 0.0
        below = slopes[number - 1] if number else 2.0 * above + 1.0
        share = (above + below) / 2.0 / slope
        assert chosen(given, Weights(accuracy=1.0, **{what: share})) == arm


@given(several, weights, st.sampled_from(["cost_usd", "latency_s"]), ratios)
def test_cheaper_or_faster_at_the_same_prices_is_never_worth_less(
    given: list[Estimate], weights: Weights, figure: str, share: float
) -> None:
    at = valuation(weights, of_estimates(given))
    lower = msgspec.structs.replace(given[0], **{figure: getattr(given[0], figure) * share})
    assert _worth(at, lower) >= _worth(at, given[0])


def _worth(at: Valuation, one: Estimate) -> float:
    return at.quality_weight * one.quality - at.per_usd * one.cost_usd - at.per_s * one.latency_s


@given(several, weights, st.integers(-20, 20))
def test_the_currency_does_not_matter(given: list[Estimate], weights: Weights, power: int) -> None:
    exchanged = [msgspec.structs.replace(e, cost_usd=e.cost_usd * 2.0**power) for e in given]
    assert values(exchanged, weights) == pytest.approx(values(given, weights), rel=1e-9, abs=1e-9)


@given(several, weights, st.floats(1e-3, 1e3))
def test_only_the_ratios_of_weights_count(given: list[Estimate], weights: Weights, factor: float) -> None:
    scaled = Weights(speed=weights.speed * factor, cost=weights.cost * factor, accuracy=weights.accuracy * factor)
    if weights.accuracy:
        assert values(given, scaled) == pytest.approx(values(given, weights), rel=1e-6, abs=1e-9)
    else:
        assert chosen(given, scaled) == chosen(given, weights)


@pytest.mark.parametrize(
    ("weights", "choice"),
    [(Weights(cost=1), 2), (Weights(speed=1), 1), (Weights(cost=1, speed=1e-6), 2), (Weights(accuracy=1), 0)],
)
def test_without_accuracy_only_money_and_time_count(weights: Weights, choice: int) -> None:
    given = [
        estimate(quality=0.9, cost_usd=5.0, latency_s=5.0),
        estimate(quality=0.1, cost_usd=2.0, latency_s=1.0),
        estimate(quality=0.0, cost_usd=1.0, latency_s=2.0),
    ]
    assert chosen(given, weights) == choice


@pytest.mark.parametrize("cost_usd", [0.0, 1.0])
def test_where_all_cost_the_same_money_decides_nothing(cost_usd: float) -> None:
    given = [estimate(quality=0.5, cost_usd=cost_usd), estimate(quality=0.6, cost_usd=cost_usd)]
    assert valuation(Weights(accuracy=1, cost=100), of_estimates(given)).per_usd == 0.0
    assert chosen(given, Weights(accuracy=1, cost=100)) == 1


def test_a_free_variant_is_a_cheapest_one_like_any_other() -> None:
    given = [estimate(quality=0.8, cost_usd=0.0), estimate(quality=0.9, cost_usd=1.0)]
    assert valuation(Weights(accuracy=1, cost=1), of_estimates(given)).per_usd == pytest.approx(0.1)
    assert chosen(given, Weights(accuracy=1, cost=0.9)) == 1
    assert chosen(given, Weights(accuracy=1, cost=1.1)) == 0


def test_the_prices_of_one_candidate_are_nothing() -> None:
    assert valuation(Weights(accuracy=1, cost=1, speed=1), of_estimates([estimate()])) == Valuation()


def test_equally_good_variants_are_told_apart_by_their_price() -> None:
    assert chord(np.array([0.5, 0.5]), np.array([1.0, 3.0])) == pytest.approx(0.01)
    assert chosen([estimate(cost_usd=3.0), estimate(cost_usd=1.0)], Weights(accuracy=1, cost=0.01)) == 1


def test_a_best_variant_that_is_the_cheapest_too_is_held_against_the_dearest() -> None:
    assert chord(np.array([0.9, 0.5]), np.array([1.0, 3.0])) == pytest.approx(0.01)


@given(several, weights, st.sampled_from([1e-320, 1e-300, 1.0, 1e300]), st.sampled_from([1e-320, 1e-300, 1.0, 1e300]))
def test_the_wildest_weights_and_figures_leave_finite_values(
    given: list[Estimate], weights: Weights, of_cost: float, of_accuracy: float
) -> None:
    wild = Weights(cost=of_cost, speed=weights.speed, accuracy=of_accuracy)
    given = [*given, estimate(cost_usd=0.0), estimate(cost_usd=1e300, latency_s=1e300)]
    found = values(given, wild, prices=Prices(per_usd=1e300, per_s=1e300))
    assert all(math.isfinite(value) and value >= 2.0 * LEAST for value in found)
    assert found[-2] >= found[-1]


def test_quality_above_the_kept_share_counts_nothing() -> None:
    assert capped(np.array([0.5, 0.9, 1.0]), 0.8).tolist() == [0.5, 0.8, 0.8]
    assert capped(np.array([[0.5, 1.0], [0.5, 0.6]]), 0.5).tolist() == [[0.5, 0.5], [0.3, 0.3]]
    assert capped(np.array([0.5, 1.0]), None).tolist() == [0.5, 1.0]


def test_a_tenants_prices_and_a_rules_preference_add_to_the_valuation() -> None:
    given = [estimate(quality=0.9, cost_usd=2.0, latency_s=4.0), estimate(quality=0.5, cost_usd=1.0, latency_s=2.0)]
    weights = Weights(accuracy=1, cost=0.5)
    prices = Prices(per_usd=0.1, per_s=0.01, per_quality=0.5)
    found = staked(given, weights, prices=prices, prefer={1: 0.3})
    level = of_estimates(given).level
    assert found.worth(level) == pytest.approx([0.9 - 0.2 * 2.0, 0.5 - 0.2 * 1.0 + 0.3])
    expected = [priced(w, e, prices) for w, e in zip(found.worth(level).tolist(), given, strict=True)]
    assert found.value(level) == pytest.approx(expected)
    assert found.value(level)[0] == pytest.approx(0.5 - 0.2 - 0.04 - 0.05)


def test_the_decision_says_what_its_numbers_mean() -> None:
    told = {"full": estimate(quality=0.9, cost_usd=2.0), "tiny": estimate(quality=0.5, cost_usd=1.0)}
    candidates = tuple(candidate(name) for name in told)
    asked = request(weights=Weights(accuracy=1, cost=0.5, keep=0.9))
    decision = decided(asked, candidates, estimator=Told(told), prices=Prices(per_usd=0.1))
    at = decision.valuation
    assert at == Valuation(quality_weight=1.0, keep=0.9, per_usd=0.2)
    for verdict in decision.verdicts:
        one = told[verdict.variant]
        assert verdict.worth == pytest.approx(min(one.quality, 0.81) - 0.2 * one.cost_usd)
        assert verdict.utility == pytest.approx((verdict.worth or 0.0) - 0.1 * one.cost_usd)
