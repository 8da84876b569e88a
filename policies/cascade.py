"""Start with a cheaper variant and escalate where its answer will not do.

To a decision a cascade is one candidate more expensive and better than its first variant: its estimate is that of the
whole. So it is weighed, limited, explored and logged like any other, under the first variant's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from policies.objective import Limits
from policies.policy import Policy
from policies.rules import Ruling
from policies.types import Candidate, CascadePlan, Estimate, RoutingRequest

__all__ = ("Reason", "affordable", "escalation", "planned", "whole")

Reason = Literal["low_confidence", "check_failed"]
"""Why an answer will not do."""


def planned(
    request: RoutingRequest, policy: Policy, ruling: Ruling, *, able: Sequence[Candidate]
) -> CascadePlan | None:
    """The cascade that policy and rule allow for a request; none for one that names its variant, or was tried.

    It names only what the first answer can in fact be judged by. Without anything to judge it by there is none.

    Args:
        request: As the ruling leaves it.
        policy: Holds the cascade.
        ruling: Must allow it.
        able: Who could answer, limits apart; without `logprobs` the first variant's confidence is not known.
    """
    cascade = policy.cascade
    if cascade is None or not ruling.then.cascade or request.failed:
        return None
    capabilities = {candidate.name: candidate.capabilities for candidate in able}
    if not {cascade.first, cascade.then} <= capabilities.keys():
        return None
    threshold = cascade.threshold if "logprobs" in capabilities[cascade.first] else None
    checks = cascade.checks and request.checks > 0
    if threshold is None and not checks:
        return None
    return CascadePlan(first=cascade.first, then=cascade.then, threshold=threshold, checks=checks)


def whole(first: Estimate, then: Estimate, policy: Policy) -> Estimate | None:
    """The estimate of a cascade; None where the second variant is not thought better, so that it would win nothing.

    The first answer is held back until it is judged, and so even the first token comes after it. Upper quantiles are
    those of the escalated path: a limit must hold also for who is escalated.
    """
    cascade = policy.cascade
    if cascade is None or then.quality <= first.quality:
        return None
    share = cascade.escalates
    first_high = first.latency_held_s
    return msgspec.structs.replace(
        first,
        quality=first.quality + cascade.recovers * (then.quality - first.quality),
        quality_se=max(first.quality_se, then.quality_se),
        ttft_s=first.latency_s + share * then.ttft_s,
        ttft_high_s=first_high + then.ttft_held_s,
        latency_s=first.latency_s + share * then.latency_s,
        latency_high_s=first_high + then.latency_held_s,
        cost_usd=first.cost_usd + share * then.cost_usd,
    )


def escalation(plan: CascadePlan, *, confidence: float | None, checks_failed: bool) -> Reason | None:
    """Why the first answer will not do; None where it will.

    Args:
        plan: Of the decision.
        confidence: `exp` of the answer's mean token log-probability; None where the engine does not tell.
        checks_failed: Whether a programmatic check of the request failed.
    """
    if plan.checks and checks_failed:
        return "check_failed"
    if plan.threshold is not None and confidence is not None and confidence < plan.threshold:
        return "low_confidence"
    return None


def affordable(then: Estimate, limits: Limits, *, spent_s: float, spent_usd: float) -> bool:
    """Whether the second variant is predicted to keep the limits once the first has taken this time and money."""
    return (
        _within(spent_s + then.ttft_held_s, limits.ttft_s)
        and _within(spent_s + then.latency_held_s, limits.latency_s)
        and _within(spent_usd + then.cost_usd, limits.max_cost_usd)
    )


def _within(predicted: float, limit: float | None) -> bool:
    return limit is None or predicted <= limit
