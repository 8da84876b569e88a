"""What a tenant's constraints do to a decision: prices, ceilings, quantiles, confidence, preferences, trials."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decide import decide
from policies.exploration import with_trials
from policies.feasibility import breach
from policies.objective import Limits, Weights
from policies.policy import Policy, Then, Trial
from policies.prices import Prices
from policies.rules import Ruling
from policies.types import Candidate, Decision, Estimate, ExclusionReason, RoutingRequest
from policies.utility import priced
from tests.beliefs import Believing, beliefs
from tests.policy_strategies import (
    GREEDY,
    RATIO,
    Told,
    candidate,
    candidate_sets,
    decided,
    estimate,
    estimates,
    request,
    requests,
)

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


@given(
    requests,
    candidate_sets(min_size=1),
    st.sampled_from([GREEDY, RATIO]),
    st.floats(0, 1e4),
    st.lists(st.floats(0.01, 1), min_size=8, max_size=8),
    st.data(),
)
def test_the_choice_is_worth_at_least_any_fixed_mix_of_what_is_feasible(
    asked: RoutingRequest,
    candidates: tuple[Candidate, ...],
    policy: Policy,
    per_usd: float,
    mix: list[float],
    data: st.DataObject,
) -> None:
    """The zero-router floor, on what the decision itself believes and at its prices."""
    told = {c.name: data.draw(estimates) for c in candidates}
    believing = Believing(told, **data.draw(beliefs(len(told))))
    prices = Prices(per_usd=per_usd)
    decision = decided(asked, candidates, policy, estimator=believing, prices=prices)
    if decision.choice is None:
        return
    worth = {v.variant: v.utility or 0.0 for v in decision.verdicts if v.excluded_because is None}
    shares = np.array(mix[: len(worth)]) / sum(mix[: len(worth)])
    mixed = float(shares @ np.array(list(worth.values())))
    assert worth[decision.choice] >= mixed - 1e-9 * max(1.0, abs(mixed))
    assert not decision.explored


def test_a_trial_is_forced_on_its_share_until_it_has_had_its_requests() -> None:
    told = {"full": estimate(quality=0.9), "new": estimate(quality=0.1)}
    policy = Policy(
        hash="t",
        priorities={},
        exploration=GREEDY.exploration,
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
    assert priced(0.5, one, Prices(per_usd=0.1, per_s=0.01)) == pytest.approx(0.5 - 0.2 - 0.03)
