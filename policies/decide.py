"""The decision: a pure function from a request, its candidates and a policy to a choice with its probabilities.

Filter, each exclusion with its reason; estimate; weigh; spread by the exploration; pick. A decision never fails
because an estimate does: then the policy's static order decides, and the decision says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from policies.errors import CandidateError
from policies.estimators.base import Estimator, is_sound
from policies.exploration import epsilon_softmax, sample
from policies.feasibility import breach, structural_exclusion
from policies.policy import Policy
from policies.types import (
    Candidate,
    CandidateState,
    Decision,
    Estimate,
    Exclusion,
    ExclusionReason,
    RoutingRequest,
    Verdict,
)
from policies.utility import utilities

__all__ = ("decide",)


def decide(
    request: RoutingRequest,
    candidates: Sequence[Candidate],
    policy: Policy,
    *,
    estimator: Estimator,
    rng: np.random.Generator,
) -> Decision:
    """Choose a candidate.

    Args:
        request: What is asked for, and within which limits.
        candidates: Variants with their state at this moment, names distinct.
        policy: Exploration and static order.
        estimator: Predicts what each candidate will do.
        rng: One number is drawn from it, and only where there is something to draw.

    Returns:
        A decision with one verdict per candidate in the given order. `choice` is None only when every candidate is
        excluded for what it is. Limits that nobody is predicted to keep are broken as little as possible.

    Raises:
        CandidateError: Two candidates have the same name.
    """
    if len({candidate.name for candidate in candidates}) < len(candidates):
        raise CandidateError("two candidates have the same name")
    excluded = {c.name: e for c in candidates if (e := structural_exclusion(request, c)) is not None}
    able = [candidate for candidate in candidates if candidate.name not in excluded]
    if not able:
        return Decision(choice=None, verdicts=_verdicts(candidates, excluded, {}, {}, {}))
    estimates = _estimates(request, able, estimator)
    if estimates is None:
        name = _static_choice(able, policy)
        return Decision(
            choice=name, verdicts=_verdicts(candidates, excluded, {}, {}, {name: 1.0}), fallback_used=True
        )
    return _decide(request, candidates, policy, able=able, estimates=estimates, excluded=excluded, rng=rng)


def _decide(
    request: RoutingRequest,
    candidates: Sequence[Candidate],
    policy: Policy,
    *,
    able: list[Candidate],
    estimates: dict[str, Estimate],
    excluded: dict[str, Exclusion],
    rng: np.random.Generator,
) -> Decision:
    breaches = {n: b for n, e in estimates.items() if (b := breach(e, request.objective.limits)) is not None}
    values = dict(zip(estimates, utilities(list(estimates.values()), request.objective.weights), strict=True))
    violated: ExclusionReason | None = None
    if len(breaches) == len(able):
        least = min(breaches, key=lambda name: (breaches[name][0], -values[name]))
        violated = breaches.pop(least)[1].reason
    excluded = excluded | {name: exclusion for name, (_, exclusion) in breaches.items()}
    feasible = [candidate for candidate in able if candidate.name not in breaches]
    scores = [values[candidate.name] for candidate in feasible]
    probabilities = epsilon_softmax(
        scores,
        epsilon=policy.exploration.epsilon,
        temperature=policy.exploration.temperature,
        explorable=_explorable(feasible),
    )
    index = sample(probabilities, rng) if len(feasible) > 1 else 0
    propensities = {c.name: p for c, p in zip(feasible, probabilities, strict=True)}
    return Decision(
        choice=feasible[index].name,
        verdicts=_verdicts(candidates, excluded, estimates, values, propensities),
        violated=violated,
        explored=scores[index] < max(scores),
    )


def _estimates(
    request: RoutingRequest, able: Sequence[Candidate], estimator: Estimator
) -> dict[str, Estimate] | None:
    """All estimates, or None if any of them cannot be trusted."""
    try:
        estimates = estimator.estimate(request, able)
        if all(is_sound(estimate) for estimate in estimates):
            return {c.name: estimate for c, estimate in zip(able, estimates, strict=True)}
    except Exception:  # noqa: BLE001 - whatever a broken estimator raises, the request is answered
        return None
    return None


def _static_choice(able: Sequence[Candidate], policy: Policy) -> str:
    """The first warm candidate in the policy's order, else the first one; unlisted ones come last."""
    rank = {name: position for position, name in enumerate(policy.fallback)}
    warm_first = min(able, key=lambda c: (c.state is not CandidateState.WARM, rank.get(c.name, len(rank))))
    return warm_first.name


def _explorable(feasible: Sequence[Candidate]) -> list[bool]:
    """Exploration wakes nobody up: a cold start costs the caller seconds and defeats stopping idle variants."""
    return [candidate.state is CandidateState.WARM for candidate in feasible]


def _verdicts(
    candidates: Sequence[Candidate],
    excluded: Mapping[str, Exclusion],
    estimates: Mapping[str, Estimate],
    values: Mapping[str, float],
    propensities: Mapping[str, float],
) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(
            variant=candidate.name,
            state=candidate.state,
            excluded_because=excluded.get(candidate.name),
            estimate=estimates.get(candidate.name),
            utility=None if candidate.name in excluded else values.get(candidate.name),
            propensity=propensities.get(candidate.name, 0.0),
            queued=candidate.queued,
            running=candidate.running,
            starts_in_s=candidate.starts_in_s,
        )
        for candidate in candidates
    )
