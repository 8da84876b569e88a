"""Every decision has one sentence that is true of its figures."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.belief import Estimates, of_estimates
from policies.decide import decide
from policies.meaning import EXCLUDED, meaning
from policies.objective import Limits, Weights
from policies.policy import Cascade, Exploration, ExplorationMethod, Formula, Policy, Rule, Then, Trial
from policies.prices import NO_PRICES, Prices
from policies.priorities import DEFAULT_PRIORITIES
from policies.rules import Ruling
from policies.types import Candidate, CascadePlan, Decision, Estimate, ExclusionReason, RoutingRequest
from policies.wording import usd
from tests.policy_strategies import NAMES, Told, candidate, candidate_sets, costs, estimate, ratios, request, seconds
from tests.policy_strategies import requests as wild_requests

HINTS = tuple(DEFAULT_PRIORITIES)
GREEDY = Exploration(method=ExplorationMethod.EPSILON_SOFTMAX, epsilon=0.0)


class Believes:
    """Says what it was told, with doubts about the request."""

    def __init__(self, told: Sequence[Estimate], *, shift: Sequence[float], doubt: float) -> None:
        self._told, self._shift, self._doubt = told, np.array(shift), doubt

    def estimate(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Estimates:
        k = len(candidates)
        told, shift = self._told[:k], self._shift[:k]
        doubt = np.full((k, k), self._doubt)
        belief = of_estimates(told)
        belief = msgspec.structs.replace(belief, level=belief.level - shift, shift=shift, doubt=doubt)
        return Estimates(told, belief)


wild_estimates = st.builds(
    Estimate,
    quality=ratios,
    quality_se=st.just(0.0) | st.floats(0, 1e3),
    ttft_s=seconds,
    tpot_s=seconds,
    completion_tokens=st.floats(0, 1e6),
    latency_s=seconds | st.floats(0, 1e300),
    cost_usd=costs | st.floats(0, 1e300),
)
believers = st.builds(
    Believes,
    st.lists(wild_estimates, min_size=len(NAMES), max_size=len(NAMES)),
    shift=st.lists(st.floats(-1, 1), min_size=len(NAMES), max_size=len(NAMES)),
    doubt=st.floats(0, 1),
)
names = st.sampled_from(NAMES)
rulings = st.builds(
    Then,
    prefer=st.dictionaries(names, st.floats(-1, 1), max_size=3),
    weights=st.none() | st.just(Weights(accuracy=1, cost=0.3, keep=0.7)),
    cascade=st.booleans(),
)
policies = st.builds(
    Policy,
    hash=st.just("any"),
    priorities=st.just(DEFAULT_PRIORITIES),
    formula=st.sampled_from(Formula),
    exploration=st.builds(
        Exploration, method=st.sampled_from(ExplorationMethod), epsilon=ratios, first=st.integers(0, 3)
    ),
    rules=rulings.map(lambda then: (Rule(name="any", then=then),)),
    cascade=st.none() | st.builds(Cascade, first=names, then=names),
    trials=st.lists(st.builds(Trial, variant=names, share=ratios), max_size=2, unique_by=lambda t: t.variant).map(
        tuple
    ),
)
prices = st.just(NO_PRICES) | st.builds(
    Prices,
    per_usd=st.floats(0, 1e6),
    per_s=st.floats(0, 1e6),
    per_quality=st.floats(0, 10),
    ceiling_usd=st.none() | st.floats(0, 1),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Decision, Policy, str | None]:
    """A decision of up to four candidates under any policy, and the hint it went by."""
    candidates = draw(candidate_sets(max_size=4))
    policy, hint = draw(policies), draw(st.sampled_from([None, *HINTS]))
    asked = draw(wild_requests)
    if hint is not None:
        objective = msgspec.structs.replace(asked.objective, weights=DEFAULT_PRIORITIES[hint])
        asked = msgspec.structs.replace(asked, objective=objective)
    ruling = Ruling(rule="any", then=policy.rules[0].then) if draw(st.booleans()) else Ruling()
    decision = decide(
        asked,
        candidates,
        policy,
        estimator=draw(believers),
        rng=np.random.default_rng(draw(st.integers(0, 99))),
        ruling=ruling,
        prices=draw(prices),
    )
    return decision, policy, hint


@settings(max_examples=60)
@given(cases(), st.booleans())
def test_every_decision_has_one_sentence_of_plain_figures_about_its_own_variants(
    case: tuple[Decision, Policy, str | None], known: bool
) -> None:
    decision, policy, hint = case
    said = meaning(decision, hint=hint, policy=policy if known else None)
    assert set(re.findall("`([^`]*)`", said)) <= set(decision.propensities) | {hint, "any"}
    assert said.endswith(".")
    assert ". " not in said, "one sentence"
    plain = re.sub("`[^`]*`", "", said)
    assert not re.search(r"\b(nan|inf|None)\b|\de[+-]?\d", plain)
    assert all(len(digits.replace(",", "")) <= 12 for digits in re.findall(r"[\d.,]*\d", plain))


def decided(
    told: dict[str, Estimate],
    *,
    hint: str = "balanced",
    limits: Limits | None = None,
    then: Then | None = None,
    exploration: Exploration = GREEDY,
    prices: Prices = NO_PRICES,
    formula: Formula = Formula.LINEAR,
) -> tuple[Decision, Policy]:
    rules = () if then is None else (Rule(name="eu", then=then),)
    policy = Policy(hash="p", priorities=DEFAULT_PRIORITIES, formula=formula, rules=rules, exploration=exploration)
    decision = decide(
        request(weights=DEFAULT_PRIORITIES[hint], limits=limits or Limits()),
        [candidate(name) for name in told],
        policy,
        estimator=Told(told),
        rng=np.random.default_rng(0),
        ruling=Ruling() if then is None else Ruling(rule="eu", then=then),
        prices=prices,
    )
    return decision, policy


def said(told: dict[str, Estimate], *, hint: str = "balanced", **how: object) -> str:
    decision, policy = decided(told, hint=hint, **how)  # type: ignore[arg-type]
    return meaning(decision, hint=hint, policy=policy)


SMALL = estimate(quality=0.80, cost_usd=0.001, latency_s=1.0)
KNEE = estimate(quality=0.90, cost_usd=0.002, latency_s=1.0)
LARGE = estimate(quality=0.909, cost_usd=0.058, latency_s=1.0)


def test_a_knee_is_explained_by_what_the_hint_pays_for_a_point() -> None:
    # The chord: 0.109 of quality for $0.057; half of that is 0.956 a dollar, so a point may cost $0.0105.
    assert said({"small": SMALL, "knee": KNEE, "large": LARGE}) == (
        "`large` would be 0.9 points better at 29 times the price; `balanced` pays up to $0.01 for a point, and so"
        " counts the difference as 5.4 points."
    )


def test_the_best_is_explained_by_what_is_not_saved() -> None:
    point = 0.01 * 0.057 / 0.109 / DEFAULT_PRIORITIES["accuracy"].cost
    assert said({"small": SMALL, "large": LARGE}, hint="accuracy") == (
        "`large` is predicted to be the best (0.91): `small` would be 11 points worse at 0.017 times the price, and"
        f" `accuracy`, which pays up to {usd(point)} for a point, counts that saving as less than 0.1 points."
    )


def test_the_cheapest_that_is_good_enough_is_called_that() -> None:
    assert said({"small": estimate(quality=0.81, cost_usd=0.001), "large": estimate(quality=0.86)}, hint="cost") == (
        "`small` is the cheapest that keeps 90 % of the best predicted quality (0.81 of 0.86)."
    )


def test_the_fastest_that_is_good_enough_is_called_that() -> None:
    told = {"slow": estimate(quality=0.86, latency_s=9.0), "quick": estimate(quality=0.81)}
    assert said(told, hint="speed") == (
        "`quick` is the fastest that keeps 90 % of the best predicted quality (0.81 of 0.86)."
    )


def test_an_explored_choice_names_what_it_was_preferred_to_and_its_doubt() -> None:
    told = {"good": estimate(quality=0.8), "new": estimate(quality=0.6, quality_se=0.2)}
    decision, policy = decided(told)
    explored = msgspec.structs.replace(decision, choice="new", explored=True)
    assert meaning(explored, hint="balanced", policy=policy) == (
        "`new` was tried although `good` was predicted to be worth more: its quality is not sure yet (0.60 ± 0.20)."
    )


def test_an_early_answer_says_how_many_every_variant_gets() -> None:
    decision, policy = decided({"good": estimate(quality=0.8), "new": estimate()}, exploration=Exploration(first=3))
    forced = msgspec.structs.replace(decision, choice="new", forced=True, explored=True)
    assert "early answer of `new`: every variant gets 3" in meaning(forced, policy=policy)
    assert "every variant gets a few" in meaning(forced)


def test_the_only_one_says_why_the_others_are_out() -> None:
    told = {"quick": estimate(), "slow": estimate(latency_s=9.0)}
    assert said(told, limits=Limits(latency_s=2.0)) == (
        "`quick` is the only variant left: `slow` is predicted to take too long."
    )


def test_a_limit_that_nobody_keeps_is_named() -> None:
    told = {"quick": estimate(latency_s=3.0), "slow": estimate(latency_s=9.0)}
    assert said(told, limits=Limits(latency_s=2.0)) == (
        "No variant is predicted to keep every limit, and `quick` breaks the limit on latency by the least."
    )


def test_a_budget_that_makes_the_difference_is_named_with_both_prices() -> None:
    told = {"small": SMALL, "large": LARGE}
    assert said(told, hint="balanced", prices=Prices(per_usd=10.0)) == (
        "The tenant's budget or SLA lets a point of quality cost up to $0.00091 instead of $0.01: by `balanced` alone"
        " `large` would be chosen instead of `small`."
    )


def test_what_only_the_budget_excludes_is_named() -> None:
    told = {
        "free": estimate(quality=0.3, cost_usd=0.0),
        "small": estimate(quality=0.6, cost_usd=0.001),
        "knee": estimate(quality=0.95, cost_usd=0.002),
    }
    assert said(told, prices=Prices(ceiling_usd=0.0015)) == (
        "`knee` would be worth more than `small`, but costs more than the budget has left for a request."
    )


def test_a_rules_preference_that_makes_the_difference_is_named() -> None:
    told = {"small": SMALL, "knee": KNEE}
    assert said(told, hint="accuracy", then=Then(prefer={"small": 0.5})) == (
        "Rule `eu` prefers `small`: otherwise `knee` would be worth more."
    )


def test_a_rules_weights_are_not_said_to_be_the_hints() -> None:
    told = {"small": SMALL, "knee": KNEE, "large": LARGE}
    text = said(told, then=Then(weights=DEFAULT_PRIORITIES["balanced"]))
    assert "rule `eu` pays" in text
    decision, _ = decided(told, then=Then(weights=DEFAULT_PRIORITIES["balanced"]))
    assert "the objective pays" in meaning(decision, hint="balanced")


def test_an_advantage_that_is_not_sure_is_not_said_to_count() -> None:
    told = [estimate(quality=0.8), estimate(quality=0.9)]
    believer = Believes(told, shift=[0.0, 0.1], doubt=1.0)
    policy = Policy(hash="p", priorities=DEFAULT_PRIORITIES, exploration=Exploration(first=0, epsilon=0.0))
    names = ("known", "doubtful")
    pair = [candidate(name) for name in names]
    weights = DEFAULT_PRIORITIES["balanced"]
    decision = decide(request(weights=weights), pair, policy, estimator=believer, rng=np.random.default_rng(0))
    known = msgspec.structs.replace(decision, choice="known", explored=False)
    assert meaning(known, hint="balanced") == (
        "`doubtful` is predicted 10 points better, but that is too uncertain to count."
    )


def test_policies_of_the_first_schema_version_name_utilities() -> None:
    text = said({"small": SMALL, "large": LARGE}, formula=Formula.RATIO)
    assert re.fullmatch(r"`small` has the highest utility \(\d\.\d\d against \d\.\d\d of `large`\)\.", text)


def test_predictions_that_cannot_be_used_are_said_to_be_so() -> None:
    text = said({"small": estimate(cost_usd=float("nan")), "large": LARGE})
    assert text == "The predictions could not be used, so `small` was taken by the policy's fixed order."


def test_a_cascade_names_what_is_asked_next() -> None:
    decision, policy = decided({"small": SMALL, "large": LARGE}, hint="cost")
    plan = CascadePlan(first="small", then="large", threshold=0.5, checks=True)
    text = meaning(msgspec.structs.replace(decision, cascade=plan), hint="cost", policy=policy)
    assert text.endswith("; `large` is asked where the answer of `small` will not do.")


def test_every_reason_to_exclude_has_words() -> None:
    assert set(EXCLUDED) == set(ExclusionReason)


@pytest.mark.parametrize("hint", HINTS)
@settings(max_examples=40)
@given(st.lists(wild_estimates, min_size=2, max_size=3))
def test_what_a_difference_is_said_to_count_is_more_than_the_gain(hint: str, told: list[Estimate]) -> None:
    text = said(dict(zip(NAMES, told, strict=False)), hint=hint)
    found = re.search(r"would be ([\d.]+) points? better at .* counts the difference as (over )?([\d.,]+)", text)
    if found:
        assert float(found[1]) <= float(found[3].replace(",", "")) + 0.1 + 0.05 * float(found[1])
