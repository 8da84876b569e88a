"""How good a candidate is for a request: its quality, less the prices of its dollars and seconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from policies.belief import Belief
from policies.objective import Weights
from policies.prices import Prices
from policies.types import Estimate
from policies.valuation import Valuation

__all__ = ("LEAST", "capped", "chord", "priced", "ratio_utilities", "shares", "valuation")

F64 = NDArray[np.float64]

LEAST = -1e300
"""What is worse than this is no worse: infinities could not be compared with each other."""

MOST_SHARE = 1e6
"""Share of a chord's slope that is charged at most: quality hardly counts from there on."""

LEAST_GAP = 0.02
"""Quality that the frontier is taken to span at least, so that equals are told apart by their price."""


def valuation(weights: Weights, belief: Belief) -> Valuation:
    """What weights mean on a frontier: the prices of dollars and seconds, in quality.

    `cost / accuracy` and `speed / accuracy` are shares of the slope of the chord between the cheapest (fastest)
    candidate and the best one, on the tenant's own traffic. Without any weight on accuracy only money and time count.
    """
    return Valuation(
        quality_weight=1.0 if weights.accuracy else 0.0,
        keep=weights.keep,
        per_usd=_price(weights.cost, weights.accuracy, chord(belief.level, belief.usd)),
        per_s=_price(weights.speed, weights.accuracy, chord(belief.level, belief.latency_s)),
    )


def _price(weight: float, accuracy: float, slope: float) -> float:
    """A share of a slope; finite, whatever the weights."""
    return min(min(weight / (accuracy or 1.0), MOST_SHARE) * slope, -LEAST)


def chord(quality: F64, costs: F64) -> float:
    """Slope of quality over cost between the cheapest candidate and the best; 0 where all cost the same."""
    best, cheapest = int(quality.argmax()), int(costs.argmin())
    span = float(costs[best] - costs[cheapest])
    if span <= 0.0:
        span = float(costs.max() - costs[cheapest])
    gap = max(LEAST_GAP, float(quality[best] - quality[cheapest]))
    return gap / span if span > 0.0 and np.isfinite(gap / span) else 0.0


def capped(quality: F64, keep: float | None) -> F64:
    """Quality as far as it counts; shape (..., k)."""
    if keep is None:
        return quality
    counted: F64 = np.minimum(quality, keep * quality.max(axis=-1, keepdims=True))
    return counted


def ratio_utilities(estimates: Sequence[Estimate], weights: Weights) -> list[float]:
    """`a * quality + c * least cost / cost + s * least latency / latency`, the weights summing to 1.

    What documents of schema version 1 mean. Only the two ends of a frontier can win.
    """
    accuracy, cost, speed = shares(weights)
    cheapest = min((e.cost_usd for e in estimates), default=0.0)
    fastest = min((e.latency_s for e in estimates), default=0.0)
    return [
        accuracy * e.quality + cost * _share(cheapest, e.cost_usd) + speed * _share(fastest, e.latency_s)
        for e in estimates
    ]


def priced(worth: float, estimate: Estimate, prices: Prices) -> float:
    """Worth less what the tenant's constraints make of dollars and seconds, and of the quality that is lacking.

    Always finite.
    """
    lacking = prices.per_quality * (1.0 - estimate.quality)
    return max(LEAST, worth - prices.per_usd * estimate.cost_usd - prices.per_s * estimate.latency_s - lacking)


def shares(weights: Weights) -> tuple[float, float, float]:
    """The weights of accuracy, cost and speed, normalised to sum to 1."""
    total = weights.speed + weights.cost + weights.accuracy
    return weights.accuracy / total, weights.cost / total, weights.speed / total


def _share(best: float, value: float) -> float:
    """Best / value in [0, 1]; what is as good as the best, free or instant included, has it all."""
    return 1.0 if value <= best else best / value
