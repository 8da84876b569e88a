"""Estimates from a variant's measured card and its live load, before there is any traffic to learn from."""

from __future__ import annotations

from collections.abc import Sequence

from policies.estimators.cost import cost_usd
from policies.estimators.times import parts
from policies.types import Candidate, Estimate, RoutingRequest

__all__ = ("CardEstimator", "card_estimate")


class CardEstimator:
    """A small queueing model over the card: the parts of `policies.estimators.times`, added up as they are."""

    def estimate(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> list[Estimate]:
        """Predict from the profiles alone: quality does not depend on the prompt yet."""
        return [card_estimate(request, candidate) for candidate in candidates]


def card_estimate(request: RoutingRequest, candidate: Candidate) -> Estimate:
    """What the card says of one candidate."""
    profile = candidate.profile
    of = parts(candidate, prompt_tokens=request.prompt_tokens)
    tokens = profile.completion_tokens
    if request.max_completion_tokens is not None:
        tokens = min(tokens, float(request.max_completion_tokens))
    tpot_s = of.tpot_s + of.crowding_s
    decode_s = max(0.0, tokens - 1.0) * tpot_s
    ttft_s = of.start_s + of.queue_s + of.prefill_s
    return Estimate(
        quality=profile.quality,
        quality_se=profile.quality_se,
        ttft_s=ttft_s,
        tpot_s=tpot_s,
        completion_tokens=tokens,
        latency_s=ttft_s + decode_s,
        cost_usd=cost_usd(
            candidate,
            prompt_tokens=request.prompt_tokens,
            completion_tokens=tokens,
            busy_s=of.prefill_s + decode_s,
        ),
    )
