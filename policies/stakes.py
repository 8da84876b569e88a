"""What each candidate of one decision is worth, as a function of how good its answer is taken to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.belief import Belief
from policies.objective import Weights
from policies.policy import Formula
from policies.prices import Prices
from policies.types import Estimate
from policies.utility import LEAST, capped, ratio_utilities, shares, valuation
from policies.valuation import Valuation

__all__ = ("Stakes", "stakes")

F64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stakes:
    """For k candidates: `quality_weight * capped(quality) + rest`, and less the tenant's prices `... - charged`."""

    valuation: Valuation
    linear: bool
    """Whether the valuation is the whole of it; by the ratio formula money and time count otherwise."""
    per_lacking: float
    """What the tenant's constraints take for quality that is lacking."""
    rest: F64
    """What dollars, seconds and a rule's preferences add for this request; shape (k,)."""
    charged: F64
    """What the tenant's prices take for its dollars and seconds; shape (k,)."""
    usual: F64
    """`rest - charged` on the tenant's traffic; shape (k,)."""

    def worth(self, quality: F64) -> F64:
        """Utility before the tenant's prices; shape (..., k)."""
        worth: F64 = self._counted(quality) + self.rest
        return worth

    def value(self, quality: F64) -> F64:
        """Utility; shape (..., k)."""
        value: F64 = self._counted(quality) + (self.rest - self.charged)
        return self._less_lacking(value, quality)

    def usual_value(self, quality: F64) -> F64:
        """Utility on the tenant's traffic; shape (..., k)."""
        value: F64 = self._counted(quality) + self.usual
        return self._less_lacking(value, quality)

    def _counted(self, quality: F64) -> F64:
        counted: F64 = self.valuation.quality_weight * capped(quality, self.valuation.keep)
        return counted

    def _less_lacking(self, value: F64, quality: F64) -> F64:
        if self.per_lacking:
            value = value - self.per_lacking * (1.0 - quality)
        return value


def stakes(
    estimates: Sequence[Estimate],
    belief: Belief,
    *,
    weights: Weights,
    formula: Formula,
    prices: Prices,
    prefer: Mapping[int, float],
) -> Stakes:
    """What is at stake in a decision.

    Args:
        estimates: Of the candidates that could answer.
        belief: Behind them.
        weights: Of the request's objective.
        formula: Of the policy.
        prices: Of the tenant's constraints.
        prefer: What a rule adds to the utility of a candidate, by its place.
    """
    with np.errstate(over="ignore"):  # What is infinitely dear is held at `LEAST`.
        return _stakes(estimates, belief, weights=weights, formula=formula, prices=prices, prefer=prefer)


def _stakes(
    estimates: Sequence[Estimate],
    belief: Belief,
    *,
    weights: Weights,
    formula: Formula,
    prices: Prices,
    prefer: Mapping[int, float],
) -> Stakes:
    usd = np.array([estimate.cost_usd for estimate in estimates])
    latency_s = np.array([estimate.latency_s for estimate in estimates])
    extra = np.array([prefer.get(place, 0.0) for place in range(len(estimates))])
    if formula is Formula.RATIO:
        accuracy = shares(weights)[0]
        found = Valuation(quality_weight=accuracy)
        unjudged = [accuracy * estimate.quality for estimate in estimates]
        rest = np.array(ratio_utilities(estimates, weights)) - np.array(unjudged) + extra
        usual = rest
    else:
        found = valuation(weights, belief)
        rest = extra - found.per_usd * usd - found.per_s * latency_s
        usual = extra - found.per_usd * belief.usd - found.per_s * belief.latency_s
    return Stakes(
        valuation=found,
        linear=formula is Formula.LINEAR,
        per_lacking=prices.per_quality,
        # Finite, so that any two can be compared and subtracted.
        rest=np.maximum(rest, LEAST),
        charged=np.minimum(prices.per_usd * usd + prices.per_s * latency_s, -LEAST),
        usual=np.maximum(usual - prices.per_usd * belief.usd - prices.per_s * belief.latency_s, LEAST),
    )
