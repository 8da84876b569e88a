"""What holds for every decision, whatever the request, the candidates and the policy."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decide import decide
from policies.errors import CandidateError
from policies.estimators.card import CardEstimator
from policies.objective import Limits
from policies.policy import Policy
from policies.types import Candidate, CandidateState, Decision, Estimate, ExclusionReason, RoutingRequest
from tests.policy_strategies import (
    Told,
    candidate,
    candidate_sets,
    decided,
    estimate,
    limits,
    policies,
    request,
    requests,
)

seeds = st.integers(0, 2**32)
STRUCTURAL = {
    ExclusionReason.UNAVAILABLE,
    ExclusionReason.NOT_REQUESTED,
    ExclusionReason.FAILED_BEFORE,
    ExclusionReason.CONTEXT,
    ExclusionReason.CAPABILITY,
}


def feasible(decision: Decision) -> set[str]:
    """Who keeps every limit; the least violation does not count as one."""
    return set() if decision.violated else {v.variant for v in decision.verdicts if v.excluded_because is None}


@given(requests, candidate_sets(), policies, seeds)
def test_propensities_sum_to_one_and_are_zero_for_the_excluded(
    request: RoutingRequest, candidates: tuple[Candidate, ...], policy: Policy, seed: int
) -> None:
    decision = decided(request, candidates, policy, seed=seed)
    assert [v.variant for v in decision.verdicts] == [c.name for c in candidates]
    assert all(v.propensity >= 0.0 for v in decision.verdicts)
    assert all(v.propensity == 0.0 for v in decision.verdicts if v.excluded_because is not None)
    assert math.fsum(decision.propensities.values()) == pytest.approx(float(decision.choice is not None), abs=1e-12)


@given(requests, candidate_sets(), policies, seeds)
def test_the_choice_is_never_excluded_and_had_a_chance(
    request: RoutingRequest, candidates: tuple[Candidate, ...], policy: Policy, seed: int
) -> None:
    decision = decided(request, candidates, policy, seed=seed)
    if decision.choice is None:
        reasons = {v.excluded_because.reason for v in decision.verdicts if v.excluded_because is not None}
        assert reasons <= STRUCTURAL
        assert all(v.excluded_because is not None for v in decision.verdicts)
    else:
        chosen = next(v for v in decision.verdicts if v.variant == decision.choice)
        assert chosen.excluded_because is None
        assert chosen.propensity > 0.0


@given(requests, candidate_sets(), policies, seeds)
def test_the_same_seed_gives_the_same_decision(
    request: RoutingRequest, candidates: tuple[Candidate, ...], policy: Policy, seed: int
) -> None:
    assert decided(request, candidates, policy, seed=seed) == decided(request, candidates, policy, seed=seed)


@given(requests, candidate_sets(min_size=1), limits)
def test_tightening_limits_never_makes_a_candidate_feasible(
    request: RoutingRequest, candidates: tuple[Candidate, ...], tighter: Limits
) -> None:
    replace = msgspec.structs.replace
    objective = replace(request.objective, limits=request.objective.limits.tightened(tighter))
    tightened = replace(request, objective=objective)
    loose, tight = decided(request, candidates), decided(tightened, candidates)
    assert feasible(tight) <= feasible(loose)
    if loose.violated is None and loose.choice in feasible(tight) and max(loose.propensities.values()) == 1.0:
        assert tight.choice == loose.choice, "limits may only remove a choice, never prefer another"


@given(requests, candidate_sets(min_size=1), policies, seeds)
def test_only_warm_candidates_are_explored(
    request: RoutingRequest, candidates: tuple[Candidate, ...], policy: Policy, seed: int
) -> None:
    decision = decided(request, candidates, policy, seed=seed)
    if decision.explored:
        assert next(v for v in decision.verdicts if v.variant == decision.choice).state is CandidateState.WARM


@given(candidate_sets(min_size=1), policies, seeds)
def test_a_pinned_request_gets_its_variant_with_propensity_one_or_nothing(
    candidates: tuple[Candidate, ...], policy: Policy, seed: int
) -> None:
    name = candidates[0].name
    decision = decided(request(allowed=frozenset({name})), candidates, policy, seed=seed)
    possible = candidates[0].state is not CandidateState.UNAVAILABLE and candidates[0].context_tokens > 1
    assert decision.choice == (name if possible else None)
    assert decision.propensities[name] == float(possible)


@given(st.sampled_from(Estimate.__struct_fields__), policies, seeds)
@pytest.mark.parametrize("absurd", [math.nan, math.inf, -math.inf, -1.0])
def test_one_absurd_figure_hands_the_decision_to_the_static_order(
    absurd: float, figure: str, policy: Policy, seed: int
) -> None:
    candidates = tuple(candidate(name) for name in ("draft", "full", "quantized"))
    told = {c.name: estimate() for c in candidates} | {"full": estimate(**{figure: absurd})}
    decision = decided(request(), candidates, policy, estimator=Told(told), seed=seed)
    listed = [name for name in policy.fallback if name in told]
    assert decision.fallback_used
    assert decision.choice == (listed[0] if listed else "draft")
    assert decision.propensities[decision.choice] == 1.0


def test_an_estimator_that_raises_stops_no_request() -> None:
    candidates = (candidate("full", state=CandidateState.COLD), candidate("quantized"))
    policy = Policy(hash="p", priorities={}, fallback=("full", "quantized"))
    decision = decided(request(), candidates, policy, estimator=Told({}))
    assert (decision.choice, decision.fallback_used) == ("quantized", True), "a warm one goes first"


def test_absurd_profiles_are_survived() -> None:
    broken = candidate("full", max_running=0)
    decision = decided(request(), (broken, candidate("quantized")), estimator=CardEstimator())
    assert decision.fallback_used
    assert decision.choice is not None


@given(requests, candidate_sets(min_size=2), policies, seeds)
def test_two_candidates_of_one_name_are_refused(
    request: RoutingRequest, candidates: tuple[Candidate, ...], policy: Policy, seed: int
) -> None:
    with pytest.raises(CandidateError):
        decided(request, (*candidates, candidates[0]), policy, seed=seed)


def test_when_all_break_a_limit_the_one_that_breaks_it_least_is_chosen() -> None:
    told = {"full": estimate(latency_s=9.0), "quantized": estimate(latency_s=2.2), "tiny": estimate(latency_s=4.0)}
    candidates = tuple(candidate(name) for name in told)
    decision = decided(request(limits=Limits(latency_s=2.0)), candidates, estimator=Told(told))
    assert decision.choice == "quantized"
    assert decision.violated is ExclusionReason.LATENCY
    assert decision.propensities == {"full": 0.0, "quantized": 1.0, "tiny": 0.0}


def test_violations_of_different_limits_are_compared_relative_to_their_limit() -> None:
    told = {"full": estimate(latency_s=3.0, quality=0.9), "tiny": estimate(latency_s=1.0, quality=0.6)}
    candidates = tuple(candidate(name) for name in told)
    decision = decided(request(limits=Limits(latency_s=2.0, min_quality=0.8)), candidates, estimator=Told(told))
    assert (decision.choice, decision.violated) == ("tiny", ExclusionReason.QUALITY), "25 % short beats 50 % over"


def test_no_number_is_drawn_where_there_is_nothing_to_draw() -> None:
    rng = np.random.default_rng(5)
    before = rng.bit_generator.state
    policy = Policy(hash="p", priorities={})
    decide(request(), (candidate(),), policy, estimator=CardEstimator(), rng=rng)
    assert rng.bit_generator.state == before
