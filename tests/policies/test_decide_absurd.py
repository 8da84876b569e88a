"""Whatever an estimator says and however a policy is set up, a request is decided, with a sound distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.decide import decide
from policies.policy import Cascade, Exploration, ExplorationMethod, Formula, Policy, Then, Trial
from policies.prices import Prices
from policies.rules import Ruling
from policies.types import Candidate, Decision, Estimate, RoutingRequest
from tests.beliefs import Believing, beliefs
from tests.policy_strategies import NAMES, Told, candidate, candidate_sets, estimate, ratios, request, requests

absurd = st.floats() | st.sampled_from([0.0, -0.0, 5e-324, 1e-12, 1.0, 1e12, 1e300, -1.0])
sane = st.floats(0, 1e4) | st.just(0.0)


def estimates_of(figure: st.SearchStrategy[float], quality: st.SearchStrategy[float]) -> st.SearchStrategy[Estimate]:
    return st.builds(
        Estimate,
        quality=quality,
        quality_se=figure,
        ttft_s=figure,
        ttft_high_s=st.none() | figure,
        tpot_s=figure,
        completion_tokens=figure,
        latency_s=figure,
        latency_high_s=st.none() | figure,
        cost_usd=figure,
    )


names = st.sampled_from(NAMES)
policies = st.builds(
    Policy,
    hash=st.just("any"),
    priorities=st.just({}),
    formula=st.sampled_from(Formula),
    exploration=st.builds(
        Exploration,
        method=st.sampled_from(ExplorationMethod),
        epsilon=ratios,
        temperature=st.just(0.0) | st.floats(1e-300, 1e300),
        draws=st.integers(16, 64),
        scale=st.floats(0, 1e6),
        caution=st.floats(0, 1e6),
        first=st.integers(0, 100),
    ),
    cascade=st.none()
    | st.builds(Cascade, first=names, then=names, threshold=st.none() | ratios, escalates=ratios, recovers=ratios),
    trials=st.lists(st.builds(Trial, variant=names, share=ratios), max_size=3, unique_by=lambda t: t.variant).map(
        tuple
    ),
    fallback=st.lists(names, max_size=3, unique=True).map(tuple),
)
rulings = st.builds(
    Ruling,
    rule=st.just("any"),
    then=st.builds(
        Then,
        prefer=st.dictionaries(names, st.floats(-1, 1), max_size=3),
        quality_confidence=st.none() | st.floats(0.5, 0.999),
        cascade=st.booleans(),
    ),
)
prices = st.builds(
    Prices,
    per_usd=sane | st.floats(0, 1e300),
    per_s=sane | st.floats(0, 1e300),
    ceiling_usd=st.none() | st.floats(-1e6, 1e6),
)


class Says:
    """Answers with what it was given, whatever that is."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def estimate(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Sequence[Estimate]:
        return self._answer  # type: ignore[return-value]


def assert_sound(decision: Decision, candidates: Sequence[Candidate]) -> None:
    """A distribution over who may answer, from which the choice was drawn."""
    shares = decision.propensities
    assert list(shares) == [c.name for c in candidates]
    if decision.choice is None:
        assert set(shares.values()) <= {0.0}
        return
    assert all(0.0 <= share <= 1.0 for share in shares.values())
    assert math.isclose(sum(shares.values()), 1.0, abs_tol=1e-9)
    assert shares[decision.choice] > 0.0
    for verdict in decision.verdicts:
        assert verdict.excluded_because is None or verdict.propensity == 0.0
        assert verdict.utility is None or not math.isnan(verdict.utility)


@pytest.mark.timeout(60)
@settings(max_examples=200)
@given(requests, candidate_sets(min_size=1), policies, rulings, prices, st.data())
def test_any_figures_lead_to_a_sound_decision(
    asked: RoutingRequest,
    candidates: tuple[Candidate, ...],
    policy: Policy,
    ruling: Ruling,
    at: Prices,
    data: st.DataObject,
) -> None:
    kind = data.draw(st.sampled_from([estimates_of(absurd, absurd), estimates_of(sane, ratios)]))
    told = data.draw(st.lists(kind, min_size=len(candidates), max_size=len(candidates)))

    by_name = {c.name: e for c, e in zip(candidates, told, strict=True)}
    tried = st.lists(st.floats(0, 1e3), min_size=len(told), max_size=len(told))
    known = {"requests": data.draw(st.floats(0, 1e6)), "judged": data.draw(st.booleans()), "tried": data.draw(tried)}
    believing = Believing(by_name, **data.draw(beliefs(len(told))), **known)
    estimator = believing if data.draw(st.booleans()) else Told(by_name)
    rng = np.random.default_rng(0)
    assert_sound(
        decide(asked, candidates, policy, estimator=estimator, rng=rng, ruling=ruling, prices=at), candidates
    )


@pytest.mark.parametrize(
    "answer",
    [None, [], [None], ["good"], [{"quality": 1.0}], 7, "x", [math.nan], [[0.5]]],
    ids=repr,
)
def test_what_is_no_estimate_at_all_hands_the_decision_to_the_static_order(answer: object) -> None:
    candidates = (candidate("full"),)
    policy = Policy(hash="any", priorities={}, fallback=("full",))
    decision = decide(request(), candidates, policy, estimator=Says(answer), rng=np.random.default_rng(0))
    assert (decision.choice, decision.fallback_used) == ("full", True)
    assert_sound(decision, candidates)


@pytest.mark.parametrize("method", ExplorationMethod)
def test_prices_that_make_all_infinitely_bad_leave_a_distribution(method: ExplorationMethod) -> None:
    told = {"full": estimate(cost_usd=1e300), "tiny": estimate(cost_usd=2e300)}
    candidates = tuple(candidate(name) for name in told)
    policy = Policy(hash="any", priorities={}, exploration=Exploration(method=method, temperature=1.0))
    rng = np.random.default_rng(0)
    decision = decide(request(), candidates, policy, estimator=Told(told), rng=rng, prices=Prices(per_usd=1e300))
    assert_sound(decision, candidates)
