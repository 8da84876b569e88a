"""Cascades: weighed as a whole, allowed by a rule only, and within every limit."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.cascade import affordable, escalation, whole
from policies.decide import decide
from policies.objective import Limits, Weights
from policies.policy import Cascade, Exploration, Policy, Then
from policies.rules import NO_RULING, Ruling
from policies.types import CascadePlan, Decision, RoutingRequest
from tests.policy_strategies import Told, candidate, estimate, request

ALLOWED = Ruling(rule="careful", then=Then(cascade=True))
POLICY = Policy(
    hash="p",
    priorities={},
    exploration=Exploration(epsilon=0.0),
    cascade=Cascade(first="tiny", then="full", threshold=0.6, escalates=0.2, recovers=0.95),
)
TOLD = {
    "tiny": estimate(quality=0.5, cost_usd=1.0, latency_s=1.0, ttft_s=0.1),
    "full": estimate(quality=0.9, cost_usd=5.0, latency_s=3.0, ttft_s=0.4),
}


def chosen(
    asked: RoutingRequest, *, ruling: Ruling = ALLOWED, policy: Policy = POLICY, tells: Sequence[str] = ("logprobs",)
) -> Decision:
    candidates = (candidate("tiny", capabilities=frozenset(tells)), candidate("full"))
    return decide(asked, candidates, policy, estimator=Told(TOLD), rng=np.random.default_rng(0), ruling=ruling)


BOTH = request(weights=Weights(accuracy=0.7, cost=0.3))


def test_a_cascade_is_weighed_as_a_whole_under_its_first_variants_name() -> None:
    decision = chosen(BOTH)
    assert decision.choice == "tiny"
    assert decision.cascade == CascadePlan(first="tiny", then="full", threshold=0.6, checks=False)
    together = decision.verdicts[0].estimate
    assert together is not None
    assert together.quality == pytest.approx(0.5 + 0.95 * 0.4)
    assert together.cost_usd == pytest.approx(1.0 + 0.2 * 5.0)
    assert together.latency_s == pytest.approx(1.0 + 0.2 * 3.0)
    assert together.ttft_s == pytest.approx(1.0 + 0.2 * 0.4), "the first answer is held back until it is judged"


@pytest.mark.parametrize(
    ("asked", "ruling", "policy"),
    [
        (BOTH, NO_RULING, POLICY),
        (BOTH, ALLOWED, msgspec.structs.replace(POLICY, cascade=None)),
        (msgspec.structs.replace(BOTH, failed=frozenset({"full"})), ALLOWED, POLICY),
        (msgspec.structs.replace(BOTH, allowed=frozenset({"tiny"})), ALLOWED, POLICY),
    ],
    ids=["no rule allows it", "the policy has none", "something failed before", "the request pins its variant"],
)
def test_without_leave_there_is_none(asked: RoutingRequest, ruling: Ruling, policy: Policy) -> None:
    assert chosen(asked, ruling=ruling, policy=policy).cascade is None


@pytest.mark.parametrize(
    ("checks", "tells", "planned"),
    [
        (0, (), None),
        (1, (), CascadePlan(first="tiny", then="full", threshold=None, checks=True)),
        (1, ("logprobs",), CascadePlan(first="tiny", then="full", threshold=0.6, checks=True)),
    ],
    ids=["nothing", "a check", "both"],
)
def test_it_names_only_what_the_first_answer_can_be_judged_by(
    checks: int, tells: Sequence[str], planned: CascadePlan | None
) -> None:
    asked = msgspec.structs.replace(BOTH, checks=checks)
    assert chosen(asked, tells=tells).cascade == planned


@pytest.mark.parametrize(
    "limits", [Limits(ttft_s=1.3), Limits(latency_s=3.9), Limits(max_cost_usd=1.9)], ids=["ttft", "latency", "cost"]
)
def test_who_is_escalated_must_be_within_the_limits_too(limits: Limits) -> None:
    asked = request(weights=Weights(accuracy=0.7, cost=0.3), limits=limits)
    assert chosen(asked).cascade is None


@pytest.mark.parametrize(
    "limits", [Limits(ttft_s=1.4), Limits(latency_s=4.0), Limits(max_cost_usd=6.0)], ids=["ttft", "latency", "cost"]
)
def test_what_the_first_answer_took_counts_against_the_second(limits: Limits) -> None:
    assert affordable(TOLD["full"], limits, spent_s=1.0, spent_usd=1.0)
    assert not affordable(TOLD["full"], limits, spent_s=1.01, spent_usd=1.01)


def test_a_second_variant_that_is_not_better_wins_nothing() -> None:
    assert whole(TOLD["full"], TOLD["tiny"], POLICY) is None


@given(confidence=st.none() | st.floats(0, 1), checks_failed=st.booleans(), threshold=st.none() | st.floats(0, 1))
def test_an_answer_is_escalated_for_a_reason_or_not_at_all(
    confidence: float | None, checks_failed: bool, threshold: float | None
) -> None:
    plan = CascadePlan(first="tiny", then="full", threshold=threshold, checks=True)
    reason = escalation(plan, confidence=confidence, checks_failed=checks_failed)
    unsure = confidence is not None and threshold is not None and confidence < threshold
    assert (reason is not None) == (checks_failed or unsure)
    ignoring = msgspec.structs.replace(plan, checks=False)
    assert escalation(ignoring, confidence=None, checks_failed=True) is None
