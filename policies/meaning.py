"""Why a decision came out as it did, in one sentence for a person.

The sentence is about the figures that the decision holds, and each claim is checked on them before it is made. Of
several reasons the one is given without which the others would not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from policies.policy import Policy, Then
from policies.prices import NO_PRICES
from policies.tradeoff import Rates, chosen_against
from policies.types import Decision, Exclusion, ExclusionReason, Verdict
from policies.wording import quality, usd, utility

__all__ = ("EXCLUDED", "meaning")

EXCLUDED: Mapping[ExclusionReason, str] = {
    ExclusionReason.UNAVAILABLE: "is not available",
    ExclusionReason.NOT_REQUESTED: "was not asked for",
    ExclusionReason.RULE: "is left out by a rule",
    ExclusionReason.FAILED_BEFORE: "has failed for this request",
    ExclusionReason.CONTEXT: "has too little context",
    ExclusionReason.CAPABILITY: "lacks a capability",
    ExclusionReason.TTFT: "is predicted to be late with the first token",
    ExclusionReason.LATENCY: "is predicted to take too long",
    ExclusionReason.COST: "is predicted to cost too much",
    ExclusionReason.BUDGET: "costs more than the budget has left for a request",
    ExclusionReason.QUALITY: "is predicted to be below the quality floor",
}
"""Why a candidate is out, as the end of a sentence about it."""

_LIMITS: Mapping[ExclusionReason, str] = {
    ExclusionReason.TTFT: "the limit on the time to first token",
    ExclusionReason.LATENCY: "the limit on latency",
    ExclusionReason.COST: "the limit on cost",
    ExclusionReason.BUDGET: "the budget",
    ExclusionReason.QUALITY: "the quality floor",
}
_NAMED = 3
"""Candidates that are named one by one, at most."""
_DOUBT = 0.03
"""Standard error of a quality from which on it is called unsure."""


def meaning(decision: Decision, *, hint: str | None = None, policy: Policy | None = None) -> str:
    """One sentence on a decision. Names no variants but those of the decision.

    Args:
        decision: As it was made.
        hint: Whose weights it went by; None where the request stated weights, or where it is not known.
        policy: That it was made under, as far as it is known: the weights and preferences of its rules, its trials.
    """
    if decision.choice is None:
        return "No variant can take the request."
    case = _Case.of(decision, decision.choice, hint, policy)
    found = next(sentence for reason in _REASONS if (sentence := reason(case)) is not None)
    plan = decision.cascade
    then = "" if plan is None else f"; `{plan.then}` is asked where the answer of `{plan.first}` will not do"
    return f"{found}{then}."


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """A decision, and what its sentence needs of it."""

    decision: Decision
    chosen: Verdict
    others: tuple[Verdict, ...]
    """The rest of those that could be chosen, by descending utility."""
    policy: Policy | None
    then: Then
    """What the rule does, as far as that is known."""
    payer: str
    """Whose objective it is, in words."""

    @classmethod
    def of(cls, decision: Decision, choice: str, hint: str | None, policy: Policy | None) -> _Case:
        rules = () if policy is None else policy.rules
        then = next((rule.then for rule in rules if rule.name == decision.rule), Then())
        known = decision.rule is None or policy is not None
        by_rule = hint is not None and then.weights is not None
        left = [v for v in decision.verdicts if v.variant != choice and v.excluded_because is None]
        return cls(
            decision=decision,
            chosen=next(v for v in decision.verdicts if v.variant == choice),
            others=tuple(sorted(left, key=lambda v: -_utility(v))),
            policy=policy,
            then=then,
            payer=f"rule `{decision.rule}`" if by_rule else f"`{hint}`" if hint and known else "the objective",
        )

    @property
    def name(self) -> str:
        """The choice, as code."""
        return f"`{self.chosen.variant}`"

    @property
    def rates(self) -> Rates | None:
        """What counts; None where the objective was not linear."""
        valuation = self.decision.valuation
        return None if valuation is None else Rates.of(valuation, self.decision.prices)

    def preferred(self, variant: str) -> float:
        """What the rule adds to a variant's utility beyond what it adds to that of the choice."""
        return self.then.prefer.get(variant, 0.0) - self.then.prefer.get(self.chosen.variant, 0.0)


def _fallback(case: _Case) -> str | None:
    if not case.decision.fallback_used:
        return None
    return f"The predictions could not be used, so {case.name} was taken by the policy's fixed order"


def _violated(case: _Case) -> str | None:
    broken = case.decision.violated
    if broken is None:
        return None
    limit = _LIMITS.get(broken, "its limit")
    return f"No variant is predicted to keep every limit, and {case.name} breaks {limit} by the least"


def _forced(case: _Case) -> str | None:
    if not case.decision.forced:
        return None
    first = 0 if case.policy is None else case.policy.exploration.first
    few = "a few" if not first else "one" if first == 1 else str(first)
    return f"This is an early answer of {case.name}: every variant gets {few}, so that its quality can be learned"


def _explored(case: _Case) -> str | None:
    if not case.decision.explored or not case.others:
        return None
    although = f"although `{case.others[0].variant}` was predicted to be worth more"
    trials = () if case.policy is None else case.policy.trials
    trial = next((trial for trial in trials if trial.variant == case.chosen.variant), None)
    if trial is not None:
        return f"{case.name} is on trial for {100.0 * trial.share:.2g} % of the requests, and was tried {although}"
    estimate = case.chosen.estimate
    if estimate is not None and estimate.quality_se >= _DOUBT:
        doubt = quality(estimate.quality, estimate.quality_se)
        return f"{case.name} was tried {although}: its quality is not sure yet ({doubt})"
    return f"{case.name} was tried {although}, to notice if that has changed"


def _only_one(case: _Case) -> str | None:
    if case.others:
        return None
    out = [(v.variant, v.excluded_because) for v in case.decision.verdicts if v.excluded_because is not None]
    told = [(name, because) for name, because in out if because.reason is not ExclusionReason.NOT_REQUESTED]
    if not out:
        return f"{case.name} is the only variant"
    if not told:
        return f"{case.name} is the only variant that was asked for"
    return f"{case.name} is the only variant left: {_listed(told)}"


def _listed(out: list[tuple[str, Exclusion]]) -> str:
    named = [f"`{name}` {EXCLUDED[because.reason]}" for name, because in out[:_NAMED]]
    further = len(out) - len(named)
    return ", ".join(named) + (f", and {further} more are left out" if further else "")


def _preferred(case: _Case) -> str | None:
    """A rule's preference made the difference."""
    best = max(case.others, key=lambda v: _utility(v) - case.preferred(v.variant))
    if _utility(best) - case.preferred(best.variant) <= _utility(case.chosen):
        return None
    return f"Rule `{case.decision.rule}` prefers {case.name}: otherwise `{best.variant}` would be worth more"


def _priced(case: _Case) -> str | None:
    """The constraints of the tenant made the difference."""
    rates, valuation = case.rates, case.decision.valuation
    if rates is None or valuation is None or case.decision.prices == NO_PRICES:
        return None
    best = max(case.others, key=_worth)
    if _worth(best) <= _worth(case.chosen):
        return None
    own = Rates.of(valuation, NO_PRICES)
    between = f"by {case.payer} alone `{best.variant}` would be chosen instead of {case.name}"
    after, before = rates.of_a_point(), own.of_a_point()
    if not after or after == before:
        return f"The tenant's budget or SLA decides: {between}"
    at_most = f" instead of {before}" if before else ""
    return f"The tenant's budget or SLA lets a point of quality cost up to {after}{at_most}: {between}"


def _unaffordable(case: _Case) -> str | None:
    """What would be better is beyond the budget."""
    out = [v for v in case.decision.verdicts if v.excluded_because is not None and v.utility is not None]
    best = max(out, key=_utility, default=None)
    if best is None or best.excluded_because is None or _utility(best) <= _utility(case.chosen):
        return None
    return f"`{best.variant}` would be worth more than {case.name}, but {EXCLUDED[best.excluded_because.reason]}"


def _ratio(case: _Case) -> str | None:
    """Of a policy of schema version 1 nothing more can be said in terms of points."""
    if case.decision.valuation is not None:
        return None
    mine, next_ = (utility(_utility(v)) for v in (case.chosen, case.others[0]))
    ranked = f"{mine} against {next_} of `{case.others[0].variant}`"
    return f"{case.name} has the highest utility ({ranked})"


def _quality_ignored(case: _Case) -> str | None:
    rates = case.rates
    if rates is None or rates.weight > 0.0:
        return None
    claim = _ahead(case, case.others, first="cost_usd")
    if claim is not None:
        return f"{case.name} is {claim}{_left(case, 0.0)}, and quality does not count with {case.payer}"
    a_second = f", which pays {usd(rates.per_s / rates.per_usd)} for a second" if rates.per_usd > 0.0 else ""
    return f"{case.name} is the best compromise of price and time for {case.payer}{a_second}"


def _keeps(case: _Case) -> str | None:
    """The cheapest or the fastest that is good enough."""
    valuation = case.decision.valuation
    mine = case.chosen.estimate
    if valuation is None or valuation.keep is None or mine is None:
        return None
    best = max(v.estimate.quality for v in case.decision.verdicts if v.estimate is not None)
    enough = valuation.keep * best
    if mine.quality < enough:
        return None
    rivals = tuple(v for v in case.others if v.estimate is not None and v.estimate.quality >= enough)
    speed_first = valuation.per_usd <= 0.0 or case.payer == "`speed`"
    claim = "the only one" if not rivals else _ahead(case, rivals, first="latency_s" if speed_first else "cost_usd")
    if claim is None:
        return None
    figures = f"{quality(mine.quality)} of {quality(best)}"
    share = f"{100.0 * valuation.keep:.3g} % of the best predicted quality ({figures})"
    return f"{case.name} is {claim}{_left(case, enough)} that keeps {share}"


def _left(case: _Case, enough: float) -> str:
    """Said of a superlative where one was left out that may deserve it: its quality is at least this."""
    out = (v.estimate for v in case.decision.verdicts if v.excluded_because is not None)
    return " left" if any(estimate is not None and estimate.quality >= enough for estimate in out) else ""


def _ahead(case: _Case, rivals: tuple[Verdict, ...], *, first: str) -> str | None:
    """`the cheapest` or `the fastest`; None where the choice is neither among its rivals."""
    names = {"cost_usd": "the cheapest", "latency_s": "the fastest"}
    mine = case.chosen.estimate
    for figure in sorted(names, key=lambda figure: figure != first):
        if all(v.estimate is not None and getattr(mine, figure) <= getattr(v.estimate, figure) for v in rivals):
            return names[figure]
    return None


def _traded(case: _Case) -> str | None:
    rates = case.rates
    if rates is None:
        return None
    qualities = [v.estimate.quality for v in (case.chosen, *case.others) if v.estimate is not None]
    plain = rates.keep is None and all(0.0 < one < 1.0 for one in qualities)
    return chosen_against(
        case.chosen,
        case.others,
        rates=rates,
        payer=case.payer,
        best=f"the best{_left(case, 0.0 if case.chosen.estimate is None else case.chosen.estimate.quality)}",
        preferred=[case.preferred(v.variant) for v in case.others],
        sure=plain and (case.decision.rule is None or case.policy is not None),
    )


def _anyhow(case: _Case) -> str:
    return f"{case.name} has the highest utility"


def _utility(verdict: Verdict) -> float:
    return float("-inf") if verdict.utility is None else verdict.utility


def _worth(verdict: Verdict) -> float:
    return float("-inf") if verdict.worth is None else verdict.worth


_REASONS: tuple[Callable[[_Case], str | None], ...] = (
    _fallback,
    _violated,
    _forced,
    _explored,
    _only_one,
    _unaffordable,
    _priced,
    _preferred,
    _ratio,
    _quality_ignored,
    _keeps,
    _traded,
    _anyhow,
)
