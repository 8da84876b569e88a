"""The decision: a pure function from a request, its candidates and a policy to a choice with its probabilities.

Filter, each exclusion with its reason; estimate; weigh; spread by the exploration; pick. A decision never fails
because an estimate does: then the policy's static order decides, and the decision says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.belief import Belief, Estimates, of_estimates
from policies.cascade import planned, whole
from policies.errors import CandidateError
from policies.estimators.base import Estimator, is_sound
from policies.exploration import cautious, sample
from policies.feasibility import breach, structural_exclusion
from policies.policy import ExplorationMethod, Policy
from policies.prices import NO_PRICES, Prices
from policies.rules import NO_RULING, Ruling
from policies.spread import spread
from policies.stakes import Stakes, stakes
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

__all__ = ("decide",)

F64 = NDArray[np.float64]

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
    case.able = [candidate for candidate in candidates if candidate.name not in case.excluded]
    if not case.able:
        return case.decided(None, {})
    found = _estimates(request, case.able, estimator)
    if found is None:
        name = _static_choice(case.able, policy)
        return case.decided(name, {name: 1.0}, fallback_used=True)
    case.estimates, case.belief = found
    case.consider_cascade()
    weighed = case.weigh()
    feasible = [candidate.name not in case.breaches for candidate in case.able]
    probabilities, forced = spread(
        case.able, case.belief, weighed, case.values, feasible=feasible, policy=policy, tried=tried
    )
    chosen = sample(probabilities, rng) if sum(feasible) > 1 else feasible.index(True)
    return case.decided(
        case.able[chosen].name,
        {c.name: p for c, p in zip(case.able, probabilities, strict=True)},
        explored=bool(case.values[chosen] < case.values[feasible].max()),
        forced=forced,
    )


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
    able: list[Candidate] = field(default_factory=list)
    """Those that are left, in the order of what follows."""
    estimates: list[Estimate] = field(default_factory=list)
    belief: Belief = field(default_factory=lambda: of_estimates(()))
    stakes: Stakes | None = None
    worths: F64 = field(default_factory=lambda: np.zeros(0))
    """Utility before the tenant's prices, a rule's preferences included."""
    values: F64 = field(default_factory=lambda: np.zeros(0))
    """Utility at the tenant's prices."""
    breaches: dict[str, Exclusion] = field(default_factory=dict)
    """For what a candidate is predicted to do."""
    violated: ExclusionReason | None = None
    cascade: CascadePlan | None = None

    def consider_cascade(self) -> None:
        """Let a cascade take the place of its first variant, where it may, keeps the limits and is better."""
        plan = planned(self.request, self.policy, self.ruling, able=self.able)
        if plan is None:
            return
        names = [candidate.name for candidate in self.able]
        place, then = names.index(plan.first), names.index(plan.then)
        together = whole(self.estimates[place], self.estimates[then], self.policy)
        if together is None or self._breach(together) is not None:
            return
        alone, before = self._values_now()[place], (self.estimates, self.belief)
        gained = together.quality - self.estimates[place].quality
        shift = self.belief.shift + gained * (np.arange(len(names)) == place)
        self.estimates = [*self.estimates[:place], together, *self.estimates[place + 1 :]]
        self.belief = msgspec.structs.replace(self.belief, shift=shift)
        if self._values_now()[place] > alone:
            self.cascade = plan
        else:
            self.estimates, self.belief = before

    def weigh(self) -> Stakes:
        """Find what each is worth, who breaks a limit, and who breaks it least if all do."""
        weighed = self.stakes = self._stakes()
        quality = self._quality(weighed)
        self.values = weighed.value(quality)
        broken = {
            place: b for place, estimate in enumerate(self.estimates) if (b := self._breach(estimate)) is not None
        }
        if len(broken) == len(self.estimates):
            least = min(broken, key=lambda place: (broken[place][0], -self.values[place]))
            self.violated = broken.pop(least)[1].reason
        self.breaches = {self.able[place].name: exclusion for place, (_, exclusion) in broken.items()}
        if broken:  # Who can be chosen at all decides what the others are held against.
            quality = self._quality(weighed)
            self.values = weighed.value(quality)
        self.worths = weighed.worth(quality)
        return weighed

    def decided(
        self,
        choice: str | None,
        propensities: Mapping[str, float],
        *,
        explored: bool = False,
        forced: bool = False,
        fallback_used: bool = False,
    ) -> Decision:
        """The decision, with what was thought of every candidate."""
        place = {candidate.name: number for number, candidate in enumerate(self.able)}
        return Decision(
            choice=choice,
            verdicts=tuple(
                self._verdict(c, place.get(c.name), propensities.get(c.name, 0.0)) for c in self.candidates
            ),
            violated=self.violated,
            explored=explored,
            forced=forced,
            rule=self.ruling.rule,
            prices=self.prices,
            valuation=self.stakes.valuation if self.stakes is not None and self.stakes.linear else None,
            cascade=self.cascade,
            fallback_used=fallback_used,
        )

    def _verdict(self, candidate: Candidate, place: int | None, propensity: float) -> Verdict:
        name = candidate.name
        excluded = self.excluded.get(name) or self.breaches.get(name)
        # What only the budget excludes keeps its worth: the price of a dollar is found from it.
        valued = excluded is None or excluded.reason is ExclusionReason.BUDGET
        weighed = valued and place is not None and self.stakes is not None
        return Verdict(
            variant=name,
            state=candidate.state,
            excluded_because=excluded,
            estimate=self.estimates[place] if place is not None and self.estimates else None,
            utility=float(self.values[place]) if weighed and place is not None else None,
            worth=float(self.worths[place]) if weighed and place is not None else None,
            propensity=propensity,
            queued=candidate.queued,
            running=candidate.running,
            starts_in_s=candidate.starts_in_s,
        )

    def _values_now(self) -> F64:
        """Utility of each as things stand."""
        weighed = self._stakes()
        return weighed.value(self._quality(weighed))

    def _stakes(self) -> Stakes:
        prefer = self.ruling.then.prefer
        return stakes(
            self.estimates,
            self.belief,
            weights=self.request.objective.weights,
            formula=self.policy.formula,
            prices=self.prices,
            prefer={place: prefer[c.name] for place, c in enumerate(self.able) if c.name in prefer},
        )

    def _quality(self, weighed: Stakes) -> F64:
        """The mean of what is believed of each answer's quality, less what is doubtful of this request."""
        how, belief = self.policy.exploration, self.belief
        if how.method is not ExplorationMethod.THOMPSON:
            return belief.level + belief.shift
        feasible = np.array([candidate.name not in self.breaches for candidate in self.able])
        anchor = int(np.where(feasible, weighed.usual_value(belief.level), -np.inf).argmax())
        return belief.level + cautious(belief, anchor, caution=how.caution)

    def _breach(self, estimate: Estimate) -> tuple[float, Exclusion] | None:
        confidence = self.ruling.then.quality_confidence
        return breach(estimate, self.request.objective.limits, prices=self.prices, quality_confidence=confidence)


def _estimates(
    request: RoutingRequest, able: Sequence[Candidate], estimator: Estimator
) -> tuple[list[Estimate], Belief] | None:
    """All estimates and the belief behind them, or None if any of them cannot be trusted."""
    try:
        found = estimator.estimate(request, able)
        estimates = list(found)
        if len(estimates) != len(able) or not all(is_sound(estimate) for estimate in estimates):
            return None
        belief = found.belief if isinstance(found, Estimates) else of_estimates(estimates)
        return (estimates, belief) if belief.is_sound(len(able)) else None
    except Exception:  # noqa: BLE001 - whatever a broken estimator raises, the request is answered
        return None


def _static_choice(able: Sequence[Candidate], policy: Policy) -> str:
    """The first warm candidate in the policy's order, else the first one; unlisted ones come last."""
    rank = {name: position for position, name in enumerate(policy.fallback)}
    warm_first = min(able, key=lambda c: (c.state is not CandidateState.WARM, rank.get(c.name, len(rank))))
    return warm_first.name
