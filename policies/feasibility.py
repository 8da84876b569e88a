"""Who may be chosen: first what a candidate is, then what it is predicted to do against the request's limits."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

from policies.objective import Limits
from policies.prices import NO_PRICES, Prices
from policies.types import Candidate, CandidateState, Estimate, Exclusion, ExclusionReason, RoutingRequest

__all__ = ("breach", "structural_exclusion")


def structural_exclusion(request: RoutingRequest, candidate: Candidate) -> Exclusion | None:
    """Why a candidate cannot serve this request whatever the limits are; never overridden."""
    if (shut := _shut_out(request, candidate.name)) is not None:
        return shut
    missing = request.needs - candidate.capabilities
    if missing:
        return Exclusion(reason=ExclusionReason.CAPABILITY, detail=f"cannot do {', '.join(sorted(missing))}")
    needed = request.min_prompt_tokens + (request.max_completion_tokens or 1)
    if needed > candidate.context_tokens:
        return Exclusion(
            reason=ExclusionReason.CONTEXT,
            detail=f"prompt and answer need at least {needed} tokens, its context has {candidate.context_tokens}",
        )
    # What may pass comes after what never does, so that nobody is told to try again in vain.
    return _out_for_now(request, candidate)


def _out_for_now(request: RoutingRequest, candidate: Candidate) -> Exclusion | None:
    """Whether a candidate that could answer cannot at this moment."""
    if candidate.name in request.failed:
        return Exclusion(
            reason=ExclusionReason.FAILED_BEFORE, detail="an earlier attempt of this request failed on it"
        )
    if candidate.name in request.unaffordable:
        return Exclusion(reason=ExclusionReason.BUDGET, detail="it may cost more than the budget has left")
    if candidate.state is CandidateState.UNAVAILABLE:
        why = candidate.unavailable_because or "not built, failed, or stopping"
        return Exclusion(reason=ExclusionReason.UNAVAILABLE, detail=why)
    return None


def _shut_out(request: RoutingRequest, variant: str) -> Exclusion | None:
    """Whether somebody said that this variant is not to answer: the caller by the model's name, or a rule."""
    if request.allowed is not None and variant not in request.allowed:
        return Exclusion(reason=ExclusionReason.NOT_REQUESTED, detail="not among the variants of the requested model")
    if request.scope is not None and request.scope.bars(variant):
        return Exclusion(
            reason=ExclusionReason.RULE, detail=f"rule `{request.scope.rule}` of the policy leaves it out"
        )
    return None


def breach(
    estimate: Estimate, limits: Limits, *, prices: Prices = NO_PRICES, quality_confidence: float | None = None
) -> tuple[float, Exclusion] | None:
    """The worst broken limit, with its relative excess above 0; None where all hold.

    Upper quantiles are held against limits of time where they are known. A quality floor with a confidence holds if
    the lower bound `quality - z * se` is above it. The excess of an upper limit is predicted / limit - 1, that of the
    floor 1 - predicted / floor.
    """
    if limits == _NO_LIMITS and prices.ceiling_usd is None:
        return None
    broken: list[tuple[float, Exclusion]] = []
    for reason, predicted, limit, unit in (
        (ExclusionReason.TTFT, estimate.ttft_held_s, limits.ttft_s, "s"),
        (ExclusionReason.LATENCY, estimate.latency_held_s, limits.latency_s, "s"),
        (ExclusionReason.COST, estimate.cost_usd, limits.max_cost_usd, "USD"),
        (ExclusionReason.BUDGET, estimate.cost_usd, prices.ceiling_usd, "USD"),
    ):
        if limit is not None and predicted > limit:
            what = "cost" if reason is ExclusionReason.BUDGET else reason
            detail = f"predicted {what} {predicted:.4g} {unit} > {_NAMES.get(reason, 'limit')} {limit:.4g} {unit}"
            broken.append((predicted / max(limit, _LEAST) - 1.0, Exclusion(reason=reason, detail=detail)))
    floor, quality = limits.min_quality, estimate.quality
    if quality_confidence is not None:
        quality = max(0.0, quality - _z(quality_confidence) * estimate.quality_se)
    if floor is not None and quality < floor:
        sure = "" if quality_confidence is None else f" with {quality_confidence:.0%} confidence"
        detail = f"predicted quality {quality:.3f}{sure} < floor {floor:.3f}"
        broken.append((1.0 - quality / floor, Exclusion(reason=ExclusionReason.QUALITY, detail=detail)))
    return max(broken, key=lambda item: item[0], default=None)


_NO_LIMITS = Limits()
_NAMES = {ExclusionReason.BUDGET: "what the budget has for one request,"}
_LEAST = 1e-12


@lru_cache(maxsize=64)
def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(confidence)
