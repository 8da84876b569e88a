"""What a tenant's constraints do to a decision: prices, ceilings, quantiles, confidence, preferences, trials."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decide import decide
from policies.exploration import thompson, with_trials
from policies.feasibility import breach
from policies.objective import Limits, Weights
from policies.policy import Exploration, ExplorationMethod, Policy, Then, Trial
from policies.prices import Prices
from policies.rules import Ruling
from policies.types import Candidate, Decision, Estimate, ExclusionReason, RoutingRequest
from policies.utility import priced, utilities
from tests.policy_strategies import Told, candidate, candidate_sets, decided, estimate, request, requests

GREEDY = Policy(hash="greedy", priorities={}, exploration=Exploration(epsilon=0.0))
ACCURACY = request(weights=Weights(accuracy=1))


def choose(
    told: dict[str, Estimate], asked: RoutingRequest = ACCURACY, policy: Policy = GREEDY, **of: object
) -> Decision:
    candidates = tuple(candidate(name) for name in told)
    return decide(asked, candidates, policy, estimator=Told(told), rng=np.random.default_rng(0), **of)  # type: ignore[arg-type]


def test_a_price_moves_the_choice_to_what_is_worth_its_cost() -> None:
    told = {"full": estimate(quality=0.9, cost_usd=0.02), "tiny": estimate(quality=0.8, cost_usd=0.01)}
    assert choose(told, prices=Prices(per_usd=9.0)).choice == "full"
    assert choose(told, prices=Prices(per_usd=11.0)).choice == "tiny"


def test_a_price_of_time_moves_it_too() -> None:
    told = {"full": estimate(quality=0.9, latency_s=3.0), "tiny": estimate(quality=0.8, latency_s=1.0)}
    assert choose(told, prices=Prices(per_s=0.06)).choice == "tiny"


def test_what_the_budget_has_left_excludes_and_is_named() -> None:
    told = {"full": estimate(quality=0.9, cost_usd=0.02), "tiny": estimate(cost_usd=0.01)}
    decision = choose(told, prices=Prices(ceiling_usd=0.015))
    [excluded, _] = [verdict.excluded_because for verdict in decision.verdicts]
    assert excluded is not None
    assert (decision.choice, excluded.reason) == ("tiny", ExclusionReason.BUDGET)
    assert "0.02 USD > what the budget has for one request, 0.015 USD" in excluded.detail


@pytest.mark.parametrize("left", [0.0, -5.0])
def test_with_nothing_left_the_cheapest_answers_and_the_decision_says_so(left: float) -> None:
    told = {"full": estimate(quality=0.9, cost_usd=0.02), "tiny": estimate(cost_usd=0.01)}
    decision = choose(told, prices=Prices(ceiling_usd=left))
    assert (decision.choice, decision.violated) == ("tiny", ExclusionReason.BUDGET)


def test_limits_of_time_are_held_against_the_upper_quantile() -> None:
    one = estimate(ttft_s=0.5, ttft_high_s=2.0, latency_s=1.0, latency_high_s=4.0)
    assert breach(one, Limits(ttft_s=1.9)) is not None
    assert breach(one, Limits(latency_s=3.9)) is not None
    assert breach(one, Limits(ttft_s=2.0, latency_s=4.0)) is None


def test_a_floor_with_confidence_asks_for_the_lower_bound() -> None:
    one = estimate(quality=0.80, quality_se=0.05)
    bound = 0.80 - NormalDist().inv_cdf(0.95) * 0.05
    assert breach(one, Limits(min_quality=bound - 1e-9), quality_confidence=0.95) is None
    broken = breach(one, Limits(min_quality=bound + 1e-9), quality_confidence=0.95)
    assert broken is not None
    assert "with 95% confidence" in broken[1].detail


def test_a_rules_preference_is_added_to_the_utility() -> None:
    told = {"full": estimate(quality=0.9), "tiny": estimate(quality=0.8)}
    prefer = Ruling(rule="r", then=Then(prefer={"tiny": 0.2}))
    decision = choose(told, ruling=prefer)
    assert (decision.choice, decision.rule) == ("tiny", "r")
    assert decision.verdicts[1].utility == pytest.approx(1.0)


@given(requests, candidate_sets(min_size=1), st.floats(0, 1e4), st.lists(st.floats(0.01, 1), min_size=8, max_size=8))
def test_the_choice_is_worth_at_least_any_fixed_mix_of_what_is_feasible(
    asked: RoutingRequest, candidates: tuple[Candidate, ...], per_usd: float, mix: list[float]
) -> None:
    """The zero-router floor, on the decision's own estimates and at its prices."""
    prices = Prices(per_usd=per_usd)
    decision = decided(asked, candidates, GREEDY, prices=prices)
    feasible = [v for v in decision.verdicts if v.utility is not None]
    if decision.choice is None:
        return
    worth = {v.variant: v.utility or 0.0 for v in feasible}
    shares = np.array(mix[: len(feasible)]) / sum(mix[: len(feasible)])
    mixed = float(shares @ np.array(list(worth.values())))
    assert worth[decision.choice] >= mixed - 1e-9 * max(1.0, abs(mixed))


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1), st.booleans()), min_size=1, max_size=6), st.floats(0, 1))
def test_thompson_gives_a_distribution_with_a_floor(options: list[tuple[float, float, bool]], epsilon: float) -> None:
    means, sds, may = zip(*options, strict=True)
    rng = np.random.default_rng(0)
    shares = thompson(means, sds, epsilon=epsilon, draws=64, explorable=may, rng=rng)
    assert sum(shares) == pytest.approx(1.0)
    for share, mean, explorable in zip(shares, means, may, strict=True):
        if explorable:
            assert share >= epsilon / sum(may) - 1e-12
        elif mean < max(means):
            assert share == 0.0


def test_thompson_agrees_with_the_normal_law_for_two() -> None:
    """P(A > B) for normal posteriors, within five standard errors of 4,096 draws."""
    shares = thompson(
        [0.70, 0.65], [0.04, 0.03], epsilon=0.0, draws=4096, explorable=[True, True], rng=np.random.default_rng(1)
    )
    exact = NormalDist().cdf(0.05 / math.hypot(0.04, 0.03))
    assert shares[0] == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 4096))


def test_thompson_is_the_same_for_the_same_seed_and_explores_what_is_uncertain() -> None:
    told = {"full": estimate(quality=0.9, quality_se=0.01), "new": estimate(quality=0.8, quality_se=0.2)}
    policy = Policy(
        hash="t", priorities={}, exploration=Exploration(method=ExplorationMethod.THOMPSON, epsilon=0.02, draws=512)
    )
    first, again = choose(told, policy=policy), choose(told, policy=policy)
    assert first == again
    assert 0.2 < first.propensities["new"] < 0.45
    sure = told | {"new": estimate(quality=0.8, quality_se=0.001)}
    assert choose(sure, policy=policy).propensities["new"] == pytest.approx(0.01)


def test_a_trial_is_forced_on_its_share_until_it_has_had_its_requests() -> None:
    told = {"full": estimate(quality=0.9), "new": estimate(quality=0.1)}
    policy = Policy(
        hash="t",
        priorities={},
        exploration=Exploration(epsilon=0.0),
        trials=(Trial(variant="new", parent="full", share=0.25, requests=10),),
    )
    assert choose(told, policy=policy).propensities == {"full": 0.75, "new": 0.25}
    assert choose(told, policy=policy, tried={"new": 9}).propensities["new"] == 0.25
    assert choose(told, policy=policy, tried={"new": 10}).propensities["new"] == 0.0
    floor = request(weights=Weights(accuracy=1), limits=Limits(min_quality=0.5))
    assert choose(told, floor, policy).propensities["new"] == 0.0, "never on a request that it may not answer"


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6))
def test_a_forced_share_leaves_a_distribution(options: list[tuple[float, float]]) -> None:
    weights, forced = zip(*options, strict=True)
    total = sum(weights) or 1.0
    probabilities = [w / total for w in weights] if sum(weights) else [1.0 / len(weights)] * len(weights)
    mixed = with_trials(probabilities, forced)
    assert sum(mixed) == pytest.approx(1.0)
    assert all(p >= 0 for p in mixed)


def test_prices_are_taken_off_after_the_weights() -> None:
    one = estimate(quality=0.5, cost_usd=2.0, latency_s=3.0)
    [worth] = utilities([one], Weights(accuracy=1))
    assert priced(worth, one, Prices(per_usd=0.1, per_s=0.01)) == pytest.approx(0.5 - 0.2 - 0.03)
