"""What weights mean, in words: the same for a hint of a policy, a rule, and a request."""

from __future__ import annotations

from policies.objective import Weights
from policies.policy import Formula
from policies.utility import shares

__all__ = ("in_words",)


def in_words(weights: Weights, formula: Formula) -> str:
    """One phrase, without variants or prices of a tenant: what is paid for money and time.

    Args:
        weights: Of accuracy, cost and speed.
        formula: By which the policy counts them.
    """
    if formula is Formula.RATIO:
        accuracy, cost, speed = (f"{100.0 * share:.3g} %" for share in shares(weights))
        return f"{accuracy} quality, {cost} share of the least cost, {speed} share of the least latency"
    if not weights.accuracy:
        return _without_quality(weights)
    quality = "quality" if weights.keep is None else f"quality up to {100.0 * weights.keep:.3g} % of the best"
    paid = [
        f"{_percent(weight / weights.accuracy)} of the price that makes the {one} variant and the best one equals"
        for weight, one in ((weights.cost, "cheapest"), (weights.speed, "fastest"))
        if weight
    ]
    return f"{quality}, at {' and '.join(paid)}" if paid else f"{quality}; neither money nor time counts"


def _without_quality(weights: Weights) -> str:
    if not weights.speed:
        return "the cheapest; quality does not count"
    if not weights.cost:
        return "the fastest; quality does not count"
    return f"price and time as {weights.cost:g} to {weights.speed:g}; quality does not count"


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g} %" if share < 1e4 else "far more than 100 %"
