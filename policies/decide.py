"""The decision: a pure function from a request, its candidates and a policy to a choice with its probabilities.

Filter, each exclusion with its reason; estimate; weigh; spread by the exploration; pick. A decision never fails
because an estimate does: then the policy's static order decides, and the decision says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from policies.cascade import planned, whole
from policies.errors import CandidateError
from policies.estimators.base import Estimator, is_sound
from policies.exploration import sample
from policies.feasibility import breach, structural_exclusion
from policies.policy import Policy
from policies.prices import NO_PRICES, Prices
from policies.rules import NO_RULING, Ruling
from policies.spread import spread
from policies.types import (
    Candidate,
    CandidateState,
    CascadePlan,
    Decision,
    Estimate,
    Exclusion,
    ExclusionReason,
    RoutingRequest,
    Verdict,
)
from policies.utility import priced, utilities

__all__ = ("decide",)

_NEVER_TRIED: Mapping[str, int] = {}


def decide(
    request: RoutingRequest,
    candidates: Sequence[Candidate],
    policy: Policy,
    *,
    estimator: Estimator,
    rng: np.random.Generator,
    ruling: Ruling = NO_RULING,
    prices: Prices = NO_PRICES,
    tried: Mapping[str, int] = _NEVER_TRIED,
) -> Decision:
    """Choose a candidate.

    Args:
        request: What is asked for, and within which limits, as the ruling leaves it.
        candidates: Variants with their state at this moment, names distinct.
        policy: Exploration, trials, cascade and static order.
        estimator: Predicts what each candidate will do.
        rng: Drawn from only where there is something to draw.
        ruling: Of the policy's rules on this request.
        prices: What a dollar and a second are worth to the tenant now, and what its budget has left.
        tried: Requests that each variant on trial has had.

    Returns:
        A decision with one verdict per candidate in the given order. `choice` is None only when every candidate is
        excluded for what it is. Limits that nobody is predicted to keep are broken as little as possible. Without
        exploration the choice is worth at least as much, at the given prices, as any mix of what is feasible.

    Raises:
        CandidateError: Two candidates have the same name.
    """
    if len({candidate.name for candidate in candidates}) < len(candidates):
        raise CandidateError("two candidates have the same name")
    case = _Case(request=request, candidates=candidates, policy=policy, ruling=ruling, prices=prices)
    case.excluded = {c.name: e for c in candidates if (e := structural_exclusion(request, c)) is not None}
    able = [candidate for candidate in candidates if candidate.name not in case.excluded]
    if not able:
        return case.decided(None, {})
    estimates = _estimates(request, able, estimator)
    if estimates is None:
        name = _static_choice(able, policy)
        return case.decided(name, {name: 1.0}, fallback_used=True)
    case.estimates = estimates
    case.consider_cascade()
    case.weigh()
    feasible = [candidate for candidate in able if candidate.name not in case.breaches]
    probabilities = spread(
        feasible, case.estimates, case.values, policy=policy, weights=request.objective.weights, tried=tried, rng=rng
    )
    chosen = feasible[sample(probabilities, rng) if len(feasible) > 1 else 0].name
    best = max(case.values[candidate.name] for candidate in feasible)
    propensities = {c.name: p for c, p in zip(feasible, probabilities, strict=True)}
    return case.decided(chosen, propensities, explored=case.values[chosen] < best)


@dataclass(kw_only=True)
class _Case:
    """One decision in the making."""

    request: RoutingRequest
    candidates: Sequence[Candidate]
    policy: Policy
    ruling: Ruling
    prices: Prices
    excluded: dict[str, Exclusion] = field(default_factory=dict)
    """For what a candidate is."""
    estimates: dict[str, Estimate] = field(default_factory=dict)
    worths: dict[str, float] = field(default_factory=dict)
    """Utility before the tenant's prices, the rule's preferences included."""
    values: dict[str, float] = field(default_factory=dict)
    """Utility at the prices, the rule's preferences included."""
    breaches: dict[str, Exclusion] = field(default_factory=dict)
    """For what a candidate is predicted to do."""
    violated: ExclusionReason | None = None
    cascade: CascadePlan | None = None

    def consider_cascade(self) -> None:
        """Let a cascade take the place of its first variant, where it may, keeps the limits and is better."""
        able = [candidate for candidate in self.candidates if candidate.name in self.estimates]
        plan = planned(self.request, self.policy, self.ruling, able=able)
        if plan is None:
            return
        together = whole(self.estimates[plan.first], self.estimates[plan.then], self.policy)
        if together is None or self._breach(together) is not None:
            return
        options = [self.estimates[plan.first], together]
        alone, cascaded = (
            priced(worth, e, self.prices) for worth, e in zip(self._worths(options), options, strict=True)
        )
        if cascaded > alone:
            self.cascade = plan
            self.estimates[plan.first] = together

    def weigh(self) -> None:
        """Find who breaks a limit, who breaks it least if all do, and what each is worth."""
        found = self._worths(list(self.estimates.values()))
        prefer = self.ruling.then.prefer
        self.worths = {n: worth + prefer.get(n, 0.0) for n, worth in zip(self.estimates, found, strict=True)}
        self.values = {n: priced(worth, self.estimates[n], self.prices) for n, worth in self.worths.items()}
        broken = {n: b for n, e in self.estimates.items() if (b := self._breach(e)) is not None}
        if len(broken) == len(self.estimates):
            least = min(broken, key=lambda name: (broken[name][0], -self.values[name]))
            self.violated = broken.pop(least)[1].reason
        self.breaches = {name: exclusion for name, (_, exclusion) in broken.items()}

    def decided(
        self,
        choice: str | None,
        propensities: Mapping[str, float],
        *,
        explored: bool = False,
        fallback_used: bool = False,
    ) -> Decision:
        """The decision, with what was thought of every candidate."""
        return Decision(
            choice=choice,
            verdicts=tuple(self._verdict(c, propensities.get(c.name, 0.0)) for c in self.candidates),
            violated=self.violated,
            explored=explored,
            rule=self.ruling.rule,
            prices=self.prices,
            cascade=self.cascade,
            fallback_used=fallback_used,
        )

    def _verdict(self, candidate: Candidate, propensity: float) -> Verdict:
        name = candidate.name
        excluded = self.excluded.get(name) or self.breaches.get(name)
        # What only the budget excludes keeps its worth: the price of a dollar is found from it.
        valued = excluded is None or excluded.reason is ExclusionReason.BUDGET
        return Verdict(
            variant=name,
            state=candidate.state,
            excluded_because=excluded,
            estimate=self.estimates.get(name),
            utility=self.values.get(name) if valued else None,
            worth=self.worths.get(name) if valued else None,
            propensity=propensity,
            queued=candidate.queued,
            running=candidate.running,
            starts_in_s=candidate.starts_in_s,
        )

    def _worths(self, estimates: list[Estimate]) -> list[float]:
        return utilities(estimates, self.request.objective.weights)

    def _breach(self, estimate: Estimate) -> tuple[float, Exclusion] | None:
        confidence = self.ruling.then.quality_confidence
        return breach(estimate, self.request.objective.limits, prices=self.prices, quality_confidence=confidence)


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
