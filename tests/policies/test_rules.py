"""A rule narrows what a request may use, and never widens it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.features.types import Features
from policies.objective import Limits, Objective, Weights
from policies.policy import Match, Policy, Rule, Then
from policies.rules import apply, ruling
from policies.types import Exclusion, ExclusionReason, RoutingRequest
from tests.policy_strategies import NAMES, candidate, decided, limits, request, requests, subsets, weights

names = st.sampled_from(NAMES)
thens = st.builds(
    Then,
    include=st.none() | subsets.map(tuple),
    exclude=subsets.map(tuple),
    limits=limits,
    weights=st.none() | weights,
)


def policy(*rules: Rule) -> Policy:
    return Policy(hash="ruled", priorities={}, rules=rules)


def spoken(language: str) -> Features:
    none = np.zeros(0, np.uint16)
    return Features(
        grams=none, counts=np.zeros(0, np.float32), surface=np.zeros(0, np.float32), groups=none, language=language
    )


@given(requests, thens)
def test_a_rule_never_loosens_a_limit(asked: RoutingRequest, then: Then) -> None:
    ruled, _ = apply(asked, policy(Rule(name="r", then=then)))
    before, after = asked.objective.limits, ruled.objective.limits
    for field in ("ttft_s", "latency_s", "max_cost_usd"):
        was, now = getattr(before, field), getattr(after, field)
        assert was is None or (now is not None and now <= was)
    assert before.min_quality is None or (after.min_quality is not None and after.min_quality >= before.min_quality)


@given(requests, thens)
def test_a_rule_only_takes_variants_away(asked: RoutingRequest, then: Then) -> None:
    candidates = tuple(
        candidate(name, capabilities=frozenset({"tools", "logprobs", "json_schema"})) for name in NAMES
    )
    before = decided(asked, candidates)
    after = decided(apply(asked, policy(Rule(name="r", then=then)))[0], candidates)
    out = [v.variant for v in before.verdicts if v.excluded_because and v.estimate is None]
    assert set(out) <= {v.variant for v in after.verdicts if v.excluded_because}
    left = set(NAMES if then.include is None else then.include) - set(then.exclude)
    assert after.choice is None or after.choice in left


@given(requests, thens)
def test_an_unmatched_request_is_returned_as_it_is(asked: RoutingRequest, then: Then) -> None:
    ruled, found = apply(asked, policy(Rule(name="r", match=Match(tenant=("nobody",)), then=then)))
    assert ruled is asked
    assert (found.rule, found.then) == (None, Then())


@given(requests, thens)
def test_a_rule_changes_nothing_else_of_a_request(asked: RoutingRequest, then: Then) -> None:
    ruled, _ = apply(asked, policy(Rule(name="r", then=then)))
    for field in set(RoutingRequest.__struct_fields__) - {"objective", "scope"}:
        assert getattr(ruled, field) == getattr(asked, field)


@pytest.mark.parametrize(
    ("match", "fits", "misses"),
    [
        (Match(tenant=("a", "b")), {"tenant": "b"}, {"tenant": "c"}),
        (Match(tags={"app": ("x", "y")}), {"tags": {"app": "y", "team": "t"}}, {"tags": {"app": "z"}}),
        (Match(tags={"app": ("x",), "team": ("t",)}), {"tags": {"app": "x", "team": "t"}}, {"tags": {"app": "x"}}),
        (Match(hint=("speed",)), {"hint": "speed"}, {"hint": None}),
        (Match(service_tier=("flex",)), {"service_tier": "flex"}, {}),
        (Match(needs=("tools", "logprobs")), {"needs": frozenset({"tools"})}, {"needs": frozenset({"json_schema"})}),
        (Match(min_prompt_tokens=60), {"prompt_tokens": 60}, {"prompt_tokens": 59}),
        (Match(max_prompt_tokens=60), {"prompt_tokens": 60}, {"prompt_tokens": 61}),
        (Match(language=("de", "en")), {"features": spoken("de")}, {"features": spoken("fr")}),
        (Match(language=("und",)), {"features": spoken("und")}, {"features": None}),
    ],
)
def test_every_condition_tells_requests_apart(
    match: Match, fits: dict[str, object], misses: dict[str, object]
) -> None:
    rules = policy(Rule(name="r", match=match))
    assert ruling(request(**fits), rules).rule == "r"
    assert ruling(request(**misses), rules).rule is None


def test_all_conditions_of_a_match_must_hold() -> None:
    rules = policy(Rule(name="r", match=Match(tenant=("a",), hint=("speed",))))
    assert ruling(request(tenant="a", hint="cost"), rules).rule is None
    assert ruling(request(tenant="a", hint="speed"), rules).rule == "r"


def test_the_first_matching_rule_applies_alone() -> None:
    first = Rule(name="first", match=Match(tenant=("a",)), then=Then(limits=Limits(ttft_s=1.0)))
    second = Rule(name="second", then=Then(limits=Limits(ttft_s=0.5, min_quality=0.5), exclude=("full",)))
    ruled, found = apply(request(tenant="a"), policy(first, second))
    assert (found.rule, ruled.objective.limits) == ("first", Limits(ttft_s=1.0))
    assert apply(request(), policy(first, second))[1].rule == "second"


def test_weights_of_a_rule_replace_those_of_a_hint_but_not_the_callers() -> None:
    fast = Weights(speed=1)
    rules = policy(Rule(name="r", then=Then(weights=fast)))
    assert apply(request(hint="accuracy"), rules)[0].objective.weights == fast
    own = RoutingRequest(objective=Objective(weights=Weights(accuracy=1), stated_by="request"), prompt_tokens=60)
    assert apply(own, rules)[0].objective.weights == Weights(accuracy=1)


def test_an_exclusion_by_a_rule_names_the_rule() -> None:
    ruled, _ = apply(request(), policy(Rule(name="legal", then=Then(exclude=("distilled",)))))
    decision = decided(ruled, (candidate("full"), candidate("distilled")))
    assert decision.verdicts[1].excluded_because == Exclusion(
        reason=ExclusionReason.RULE, detail="rule `legal` of the policy leaves it out"
    )
    assert decision.choice == "full"


def test_twenty_rules_cost_less_than_a_tenth_of_a_decision() -> None:
    """The bound is ten times what it takes on a slow machine: it catches a change of kind, not of speed."""
    rules = policy(*(Rule(name=str(n), match=Match(tenant=(f"t{n}",), tags={"a": ("b",)})) for n in range(20)))
    asked = request(tenant="t19", tags={"a": "b"})
    best_s = min(_seconds(asked, rules) for _ in range(200))
    assert best_s < 300e-6


def _seconds(asked: RoutingRequest, rules: Policy) -> float:
    began_s = time.perf_counter()
    apply(asked, rules)
    return time.perf_counter() - began_s
