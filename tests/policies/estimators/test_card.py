"""The queueing model over the card: exact where it is simple, monotone where it is not."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.estimators.base import is_sound
from policies.estimators.card import CardEstimator
from policies.types import Candidate, CandidateState, Estimate, Profile, RoutingRequest
from tests.policy_strategies import candidate, candidate_sets, request, requests


def estimated(request: RoutingRequest, candidate: Candidate) -> Estimate:
    [estimate] = CardEstimator().estimate(request, [candidate])
    return estimate


PROFILE = Profile(
    quality=0.7,
    ttft_s=0.2,
    ttft_prompt_tokens=60,
    tpot_s=0.01,
    tpot_slope_s=0.002,
    prefill_tokens_per_s=1000.0,
    completion_tokens=51.0,
    cold_start_s=5.0,
)


def test_an_idle_warm_variant_is_as_fast_as_its_card() -> None:
    estimate = estimated(request(prompt_tokens=60), candidate(profile=PROFILE))
    assert estimate.ttft_s == pytest.approx(0.2)
    assert estimate.tpot_s == pytest.approx(0.01)
    assert estimate.completion_tokens == 51.0
    assert estimate.latency_s == pytest.approx(0.2 + 50 * 0.01)


def test_a_longer_prompt_is_read_at_the_prefill_rate() -> None:
    estimate = estimated(request(prompt_tokens=1060), candidate(profile=PROFILE))
    assert estimate.ttft_s == pytest.approx(0.2 + 1.0)


def test_the_callers_limit_shortens_the_answer() -> None:
    estimate = estimated(request(max_completion_tokens=11), candidate(profile=PROFILE))
    assert estimate.latency_s == pytest.approx(0.2 + 10 * 0.01)


@pytest.mark.parametrize(
    ("changes", "wait_s"),
    [
        ({"state": CandidateState.COLD}, 5.0),
        ({"state": CandidateState.LOADING}, 5.0),
        ({"state": CandidateState.LOADING, "starts_in_s": 1.5}, 1.5),
    ],
)
def test_a_sleeping_variant_answers_after_it_has_woken(changes: dict[str, object], wait_s: float) -> None:
    estimate = estimated(request(), candidate(profile=PROFILE, **changes))
    assert estimate.ttft_s == pytest.approx(wait_s + 0.2)


def test_a_free_slot_means_no_wait_but_slower_tokens() -> None:
    estimate = estimated(request(), candidate(profile=PROFILE, running=3, max_running=4))
    assert estimate.ttft_s == pytest.approx(0.2)
    assert estimate.tpot_s == pytest.approx(0.01 + 3 * 0.002)


def test_requests_ahead_are_served_so_many_at_a_time() -> None:
    profile = msgspec.structs.replace(PROFILE, tpot_slope_s=0.0)
    estimate = estimated(request(), candidate(profile=profile, running=4, queued=3, max_running=4))
    assert estimate.ttft_s == pytest.approx(0.2 + 4 / 4 * (0.2 + 51 * 0.01))


def test_requests_that_wait_for_a_cold_variant_count_as_ahead() -> None:
    profile = msgspec.structs.replace(PROFILE, tpot_slope_s=0.0)
    cold = candidate(profile=profile, state=CandidateState.COLD, queued=7, max_running=4)
    assert estimated(request(), cold).ttft_s == pytest.approx(5.0 + 0.2 + 4 / 4 * (0.2 + 51 * 0.01))


def test_cost_is_tokens_at_their_price_or_seconds_at_theirs() -> None:
    by_token = candidate(
        profile=PROFILE, prompt_per_token_usd=1e-6, completion_per_token_usd=2e-6, compute_per_s_usd=0.0
    )
    assert estimated(request(), by_token).cost_usd == pytest.approx(60e-6 + 102e-6)
    by_second = candidate(profile=PROFILE, compute_per_s_usd=1e-4, state=CandidateState.COLD)
    assert estimated(request(), by_second).cost_usd == pytest.approx(0.7e-4), "waiting costs nothing"


@given(requests, candidate_sets(min_size=1))
def test_every_estimate_is_sound(request: RoutingRequest, candidates: tuple[Candidate, ...]) -> None:
    assert all(is_sound(estimated(request, candidate)) for candidate in candidates)


@given(requests, candidate_sets(min_size=1), st.sampled_from(["queued", "running"]), st.integers(1, 50))
def test_more_load_is_never_predicted_to_be_faster(
    request: RoutingRequest, candidates: tuple[Candidate, ...], kind: str, more: int
) -> None:
    calm = candidates[0]
    busy = msgspec.structs.replace(calm, **{kind: getattr(calm, kind) + more})
    before, after = estimated(request, calm), estimated(request, busy)
    assert after.ttft_s >= before.ttft_s
    assert after.latency_s >= before.latency_s


@given(requests, candidate_sets(min_size=1), st.integers(1, 10_000))
def test_a_longer_prompt_is_never_predicted_to_be_faster_or_cheaper(
    request: RoutingRequest, candidates: tuple[Candidate, ...], more: int
) -> None:
    longer = msgspec.structs.replace(request, prompt_tokens=request.prompt_tokens + more)
    before, after = estimated(request, candidates[0]), estimated(longer, candidates[0])
    assert after.ttft_s >= before.ttft_s
    assert after.cost_usd >= before.cost_usd
