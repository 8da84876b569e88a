"""A decision of the log as it was made, and what it comes to in a sentence."""

from __future__ import annotations

import msgspec

from gateway.decisions.types import DecisionRow
from policies.meaning import meaning
from policies.prices import NO_PRICES, Prices
from policies.priorities import DEFAULT_PRIORITIES
from policies.tradeoff import Rates
from policies.types import Decision, ExclusionReason, Verdict
from policies.valuation import Valuation

__all__ = ("paid_for_a_point", "sentence")


def sentence(row: DecisionRow, *, rule: str | None) -> str:
    """Why it came out as it did; empty where the row is of a version that did not log enough.

    Args:
        row: The decision.
        rule: Of its policy, that applied: the row does not hold it.
    """
    try:
        decision = Decision(
            choice=row.choice,
            verdicts=msgspec.convert(row.candidates, tuple[Verdict, ...], strict=False),
            violated=None if row.violated is None else ExclusionReason(row.violated),
            explored=row.explored,
            rule=rule,
            prices=NO_PRICES if row.prices is None else msgspec.convert(row.prices, Prices),
            fallback_used=row.fallback_used,
            valuation=None if row.valuation is None else msgspec.convert(row.valuation, Valuation),
            forced=row.forced,
        )
    except (msgspec.ValidationError, ValueError):
        return ""
    if decision.choice is not None and decision.choice not in decision.propensities:
        return ""
    return meaning(decision, hint=row.hint or _hint_of(row))


def paid_for_a_point(row: DecisionRow) -> str:
    """What the objective pays for a hundredth of quality at most; empty where that is not known."""
    try:
        valuation = msgspec.convert(row.valuation, Valuation | None)
    except msgspec.ValidationError:
        return ""
    return "" if valuation is None else Rates.of(valuation, NO_PRICES).of_a_point()


def _hint_of(row: DecisionRow) -> str | None:
    """A request that says nothing goes by the weights of a hint too."""
    plain = {name: msgspec.to_builtins(weights) for name, weights in DEFAULT_PRIORITIES.items()}
    stated = {name: {k: v for k, v in weights.items() if v is not None} for name, weights in plain.items()}
    return next((name for name, weights in stated.items() if weights == row.weights), None)
