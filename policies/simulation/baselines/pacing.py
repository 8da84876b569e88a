"""A simple way to keep a budget, the same for every baseline that predicts costs.

The price of a dollar is looked up anew before each request: the one at which, on requests seen beforehand, the best
arms would have cost on average what is left of the budget per request that is left.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from policies.simulation.methods import Task

__all__ = ("Pacer", "best")

F64 = NDArray[np.float64]

_PRICES = 256


class Pacer:
    """Mutable: told of every cost."""

    def __init__(self, quality: F64, cost_usd: F64, task: Task) -> None:
        """Learn what which price would spend.

        Args:
            quality: Predicted for requests like those that will come; shape (n, k).
            cost_usd: Predicted for the same.
            task: Its budget; without one the price is the task's.
        """
        self._fixed = task.per_usd if task.budget_usd is None else None
        self._left_usd = (task.budget_usd or 0.0) * task.requests
        self._left = task.requests
        unit = float(np.median(cost_usd))
        prices = np.concatenate(([0.0], np.geomspace(1e-4, 1e4, _PRICES) / max(unit, 1e-12)))
        rows = np.arange(len(cost_usd))
        spends = [cost_usd[rows, np.argmax(quality - price * cost_usd, axis=1)].mean() for price in prices]
        # From the highest price down, so that what they spend rises.
        self._spends = np.maximum.accumulate(np.array(spends[::-1])).tolist()
        self._prices = prices[::-1].tolist()

    def per_usd(self) -> float:
        """The price of a dollar for the next request."""
        if self._fixed is not None:
            return self._fixed
        target = self._left_usd / max(1, self._left)
        return float(self._prices[max(0, bisect_left(self._spends, target) - 1)])

    def affords(self, cost_usd: float) -> bool:
        """Whether this much is left at all."""
        return self._fixed is not None or cost_usd <= self._left_usd

    def spent(self, cost_usd: float) -> None:
        """A request was answered at this cost."""
        self._left_usd -= cost_usd
        self._left -= 1


def best(quality: F64, cost_usd: F64, pacer: Pacer, *, among: tuple[int, ...]) -> int:
    """The arm of highest `quality - price * cost` among the affordable ones; the cheapest if none is.

    Args:
        quality: Of one request; shape (k,).
        cost_usd: Of the same.
        pacer: Knows the price, and what is left.
        among: Arms to choose from.
    """
    price = pacer.per_usd()
    able = [arm for arm in among if pacer.affords(cost_usd[arm])]
    if not able:
        return min(among, key=lambda arm: float(cost_usd[arm]))
    return max(able, key=lambda arm: float(quality[arm] - price * cost_usd[arm]))
