"""How good a candidate is for a request: accuracy, cheapness and speed, weighed as the request asks."""

from __future__ import annotations

from collections.abc import Sequence

from policies.objective import Weights
from policies.prices import Prices
from policies.types import Estimate

__all__ = ("priced", "shares", "utilities")

LEAST = -1e300
"""What is worse than this is no worse: infinities could not be compared with each other."""


def utilities(estimates: Sequence[Estimate], weights: Weights) -> list[float]:
    """Utility of each estimate: `a * quality + c * least cost / cost + s * least latency / latency`.

    The weights are normalised to sum to 1, and so utilities lie in [0, 1]. Cost and latency are taken relative to the
    best among the given estimates, so that the trade-off means the same for a cent as for a dollar and for a prompt
    of ten tokens as for one of a thousand. The best and not the worst is the scale: a candidate that is slow or dear,
    such as one that must be started first, then changes nothing between the others.
    """
    accuracy, cost, speed = shares(weights)
    cheapest = min((e.cost_usd for e in estimates), default=0.0)
    fastest = min((e.latency_s for e in estimates), default=0.0)
    return [
        accuracy * e.quality + cost * _share(cheapest, e.cost_usd) + speed * _share(fastest, e.latency_s)
        for e in estimates
    ]


def priced(utility: float, estimate: Estimate, prices: Prices) -> float:
    """Utility less what the tenant's constraints make of dollars and seconds, and of the quality that is lacking.

    Always finite.
    """
    lacking = prices.per_quality * (1.0 - estimate.quality)
    return max(LEAST, utility - prices.per_usd * estimate.cost_usd - prices.per_s * estimate.latency_s - lacking)


def shares(weights: Weights) -> tuple[float, float, float]:
    """The weights of accuracy, cost and speed, normalised to sum to 1."""
    total = weights.speed + weights.cost + weights.accuracy
    return weights.accuracy / total, weights.cost / total, weights.speed / total


def _share(best: float, value: float) -> float:
    """Best / value in [0, 1]; what is as good as the best, free or instant included, has it all."""
    return 1.0 if value <= best else best / value
