"""Estimates from a variant's measured card and its live load, before there is any traffic to learn from."""

from __future__ import annotations

from collections.abc import Sequence

from policies.types import Candidate, CandidateState, Estimate, Profile, RoutingRequest

__all__ = ("CardEstimator",)

_LEAST_TTFT_SHARE = 0.1
"""A short prompt is read faster than the measured one, but never in less than this share of its time."""


class CardEstimator:
    """A small queueing model over the card.

    With r other requests being decoded a token takes `tpot_s + r * tpot_slope_s`. A request waits until enough of
    those ahead of it, running or queued, have been served to leave it a slot, `max_running` at a time. Both are
    deliberate simplifications; the learned estimators correct them from the log.
    """

    def estimate(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> list[Estimate]:
        """Predict from the profiles alone: quality does not depend on the prompt yet."""
        return [self._estimate(request, candidate) for candidate in candidates]

    def _estimate(self, request: RoutingRequest, candidate: Candidate) -> Estimate:
        profile = candidate.profile
        alongside = min(candidate.running + candidate.queued, candidate.max_running - 1)
        tpot_s = profile.tpot_s + alongside * profile.tpot_slope_s
        tokens = profile.completion_tokens
        if request.max_completion_tokens is not None:
            tokens = min(tokens, float(request.max_completion_tokens))
        prefill_s = _prefill_s(profile, request.prompt_tokens)
        decode_s = max(0.0, tokens - 1.0) * tpot_s
        ttft_s = _start_s(candidate) + _queue_s(candidate, tpot_s=tpot_s) + prefill_s
        busy_s = prefill_s + decode_s
        return Estimate(
            quality=profile.quality,
            ttft_s=ttft_s,
            tpot_s=tpot_s,
            completion_tokens=tokens,
            latency_s=ttft_s + decode_s,
            cost_usd=candidate.prompt_per_token_usd * request.prompt_tokens
            + candidate.completion_per_token_usd * tokens
            + candidate.compute_per_s_usd * busy_s,
        )


def _start_s(candidate: Candidate) -> float:
    """Seconds until the variant can answer at all."""
    if candidate.state is CandidateState.COLD:
        return candidate.profile.cold_start_s
    if candidate.state is CandidateState.LOADING:
        return candidate.profile.cold_start_s if candidate.starts_in_s is None else candidate.starts_in_s
    return 0.0


def _queue_s(candidate: Candidate, *, tpot_s: float) -> float:
    """Seconds behind the requests ahead; none while they leave a slot free."""
    profile = candidate.profile
    before = candidate.running + candidate.queued + 1 - candidate.max_running
    service_s = profile.ttft_s + profile.completion_tokens * tpot_s
    return max(0, before) / candidate.max_running * service_s


def _prefill_s(profile: Profile, prompt_tokens: int) -> float:
    further_s = (prompt_tokens - profile.ttft_prompt_tokens) / profile.prefill_tokens_per_s
    return max(profile.ttft_s + further_s, profile.ttft_s * _LEAST_TTFT_SHARE)
