"""Which rule of a policy a request falls under, and the request as that rule leaves it.

Rules are read from the top and the first that matches applies, alone. A rule narrows: it takes variants away and
tightens limits, and never gives back what the request or the tenant's SLA has ruled out.
"""

from __future__ import annotations

import msgspec

from policies.policy import Match, Policy, Then
from policies.types import RoutingRequest, RuleScope

__all__ = ("NO_RULING", "Ruling", "apply", "matches", "ruling")


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy's rules say about one request."""

    rule: str | None = None
    """Name of the rule that applies; None where none does."""
    then: Then = Then()
    """What it does."""


NO_RULING = Ruling()
"""Changes nothing."""


def apply(request: RoutingRequest, policy: Policy) -> tuple[RoutingRequest, Ruling]:
    """The request as the policy's rules leave it, and the ruling behind it.

    Limits are only ever tightened, variants only taken away. The rule's weights replace those behind a hint, never
    weights that the request states itself. A request under no rule is returned as it is.
    """
    found = ruling(request, policy)
    if found.rule is None:
        return request, found
    then, objective = found.then, request.objective
    weights = then.weights if then.weights is not None and objective.stated_by == "policy" else objective.weights
    ruled = msgspec.structs.replace(objective, weights=weights, limits=objective.limits.tightened(then.limits))
    scope = RuleScope(rule=found.rule, include=then.include, exclude=then.exclude)
    return msgspec.structs.replace(request, objective=ruled, scope=scope), found


def ruling(request: RoutingRequest, policy: Policy) -> Ruling:
    """The first rule that matches, or the ruling that changes nothing."""
    for rule in policy.rules:
        if matches(rule.match, request):
            return Ruling(rule=rule.name, then=rule.then)
    return NO_RULING


def matches(match: Match, request: RoutingRequest) -> bool:
    """Whether every stated condition holds; a match without conditions always does."""
    return (
        (match.tenant is None or request.tenant in match.tenant)
        and (match.hint is None or request.hint in match.hint)
        and (match.service_tier is None or request.service_tier in match.service_tier)
        and (match.needs is None or not request.needs.isdisjoint(match.needs))
        and (match.min_prompt_tokens is None or request.prompt_tokens >= match.min_prompt_tokens)
        and (match.max_prompt_tokens is None or request.prompt_tokens <= match.max_prompt_tokens)
        and (match.language is None or _language(request) in match.language)
        and all(request.tags.get(tag) in values for tag, values in match.tags.items())
    )


def _language(request: RoutingRequest) -> str | None:
    """None where no features were extracted: then no rule about languages holds."""
    return None if request.features is None else request.features.language
