"""Who is excluded, why, and in which words."""

from __future__ import annotations

import pytest

from policies.feasibility import breach, structural_exclusion
from policies.objective import Limits
from policies.types import CandidateState, Estimate, ExclusionReason, RoutingRequest
from tests.policy_strategies import candidate, decided, estimate, request


@pytest.mark.parametrize(
    ("asked", "reason", "words"),
    [
        (request(allowed=frozenset({"full"})), ExclusionReason.NOT_REQUESTED, "not among"),
        (request(failed=frozenset({"quantized"})), ExclusionReason.FAILED_BEFORE, "earlier attempt"),
        (request(unaffordable=frozenset({"quantized"})), ExclusionReason.BUDGET, "more than the budget has left"),
        (request(needs=frozenset({"tools", "logprobs"})), ExclusionReason.CAPABILITY, "cannot do logprobs, tools"),
        (request(min_prompt_tokens=2048), ExclusionReason.CONTEXT, "at least 2049 tokens, its context has 2048"),
        (request(min_prompt_tokens=2000, max_completion_tokens=49), ExclusionReason.CONTEXT, "2049"),
    ],
)
def test_a_candidate_that_cannot_serve_the_request_is_excluded(
    asked: RoutingRequest, reason: ExclusionReason, words: str
) -> None:
    exclusion = structural_exclusion(asked, candidate())
    assert exclusion is not None
    assert exclusion.reason is reason
    assert words in exclusion.detail
    assert decided(asked, (candidate(),)).choice is None, "no limit was broken, so there is nothing to give way on"


@pytest.mark.parametrize(
    ("because", "detail"), [(None, "not built, failed, or stopping"), ("circuit open for 3.2 s more",) * 2]
)
def test_an_unavailable_candidate_is_excluded_with_what_is_known_of_the_reason(because: str, detail: str) -> None:
    exclusion = structural_exclusion(
        request(), candidate(state=CandidateState.UNAVAILABLE, unavailable_because=because)
    )
    assert exclusion is not None
    assert (exclusion.reason, exclusion.detail) == (ExclusionReason.UNAVAILABLE, detail)


@pytest.mark.parametrize(
    "asked",
    [request(needs=frozenset({"tools"})), request(min_prompt_tokens=2048)],
    ids=["capability", "context"],
)
def test_what_never_passes_is_told_before_what_may(asked: RoutingRequest) -> None:
    starting = candidate(state=CandidateState.UNAVAILABLE)
    exclusion = structural_exclusion(asked, starting)
    assert exclusion is not None
    assert exclusion.reason in {ExclusionReason.CAPABILITY, ExclusionReason.CONTEXT}


def test_what_just_fits_is_possible() -> None:
    exact = request(min_prompt_tokens=2000, max_completion_tokens=48, needs=frozenset({"tools"}))
    assert structural_exclusion(exact, candidate(capabilities=frozenset({"tools", "logprobs"}))) is None


def test_a_guessed_prompt_length_excludes_nobody() -> None:
    assert structural_exclusion(request(prompt_tokens=1_000_000), candidate()) is None


@pytest.mark.parametrize(
    ("predicted", "limits", "excess", "detail"),
    [
        (estimate(ttft_s=4.2), Limits(ttft_s=2.0), 1.1, "predicted ttft 4.2 s > limit 2 s"),
        (estimate(latency_s=3.0), Limits(latency_s=2.0), 0.5, "predicted latency 3 s > limit 2 s"),
        (estimate(cost_usd=0.03), Limits(max_cost_usd=0.01), 2.0, "predicted cost 0.03 USD > limit 0.01 USD"),
        (estimate(quality=0.6), Limits(min_quality=0.8), 0.25, "predicted quality 0.600 < floor 0.800"),
    ],
)
def test_a_broken_limit_is_told_with_both_figures(
    predicted: Estimate, limits: Limits, excess: float, detail: str
) -> None:
    broken = breach(predicted, limits)
    assert broken is not None
    assert broken[0] == pytest.approx(excess)
    assert broken[1].detail == detail


def test_of_several_broken_limits_the_worst_is_told() -> None:
    broken = breach(estimate(ttft_s=2.2, latency_s=9.0), Limits(ttft_s=2.0, latency_s=3.0))
    assert broken is not None
    assert broken[1].reason is ExclusionReason.LATENCY


def test_a_limit_met_exactly_is_kept() -> None:
    exact = Limits(ttft_s=0.1, latency_s=1.0, max_cost_usd=1.0, min_quality=0.5)
    assert breach(estimate(), exact) is None
