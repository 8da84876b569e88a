"""Who may be chosen: first what a candidate is, then what it is predicted to do against the request's limits."""

from __future__ import annotations

from policies.types import (
    Candidate,
    CandidateState,
    Estimate,
    Exclusion,
    ExclusionReason,
    Limits,
    RoutingRequest,
)

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
    if candidate.name in request.failed:
        return Exclusion(
            reason=ExclusionReason.FAILED_BEFORE, detail="an earlier attempt of this request failed on it"
        )
    if candidate.state is CandidateState.UNAVAILABLE:
        return Exclusion(reason=ExclusionReason.UNAVAILABLE, detail="not built, failed, or stopping")
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


def breach(estimate: Estimate, limits: Limits) -> tuple[float, Exclusion] | None:
    """The worst broken limit, with its relative excess above 0; None where all hold.

    The excess of an upper limit is predicted / limit - 1, that of the quality floor 1 - predicted / floor.
    """
    broken: list[tuple[float, Exclusion]] = []
    for reason, predicted, limit, unit in (
        (ExclusionReason.TTFT, estimate.ttft_s, limits.ttft_s, "s"),
        (ExclusionReason.LATENCY, estimate.latency_s, limits.latency_s, "s"),
        (ExclusionReason.COST, estimate.cost_usd, limits.max_cost_usd, "USD"),
    ):
        if limit is not None and predicted > limit:
            detail = f"predicted {reason} {predicted:.4g} {unit} > limit {limit:.4g} {unit}"
            broken.append((predicted / limit - 1.0, Exclusion(reason=reason, detail=detail)))
    floor = limits.min_quality
    if floor is not None and estimate.quality < floor:
        detail = f"predicted quality {estimate.quality:.3f} < floor {floor:.3f}"
        exclusion = Exclusion(reason=ExclusionReason.QUALITY, detail=detail)
        broken.append((1.0 - estimate.quality / floor, exclusion))
    return max(broken, key=lambda item: item[0], default=None)
