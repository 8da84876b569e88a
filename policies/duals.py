"""The price of what is scarce: the multiplier of a constraint on a mean, solved on what requests could choose from.

A request takes `argmax(utility - price * cost)`. The least price at which the mean cost meets its target is the dual
optimum of the constrained problem (re-solving on recent requests: Jasin and Kumar, 2012). Dollars are such a cost, so
is the quality that an answer lacks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ("Foreseen", "dual_price")

F64 = NDArray[np.float64]

STEPS = 40


class Foreseen:
    """What the latest requests could have chosen from: feasible candidates only, utilities before the price."""

    def __init__(self, *, window: int) -> None:
        self._utilities = np.zeros((window, 0))
        self._costs = np.zeros((window, 0))
        self._seen = 0

    def add(self, utilities: Sequence[float], costs: Sequence[float]) -> None:
        """Remember one request; the oldest one is forgotten for it."""
        width = len(utilities)
        if width > self._costs.shape[1]:
            more = ((0, 0), (0, width - self._costs.shape[1]))
            self._utilities = np.pad(self._utilities, more, constant_values=-np.inf)
            self._costs = np.pad(self._costs, more)
        place = self._seen % len(self._costs)
        self._utilities[place], self._costs[place] = -np.inf, 0.0
        self._utilities[place, :width], self._costs[place, :width] = utilities, costs
        self._seen += 1

    def price(self, *, target: float) -> float | None:
        """The least price at which they cost at most the target on average; None where nothing is known."""
        rows = min(self._seen, len(self._costs))
        return dual_price(self._utilities[:rows], self._costs[:rows], target=target) if rows else None


def dual_price(utilities: F64, costs: F64, *, target: float) -> float:
    """The least price at which `argmax(utility - price * cost)` costs at most the target on average.

    Args:
        utilities: Before any price; `-inf` where a candidate may not be chosen; shape (n, k).
        costs: Shape (n, k), at least 0.
        target: Mean cost aimed at; if even the cheapest cost more, the price makes everyone take these.
    """
    rows = np.arange(len(utilities))

    def spends(price: float) -> float:
        chosen = (utilities - price * costs).argmax(axis=1)
        return float(costs[rows, chosen].mean())

    if spends(0.0) <= target:
        return 0.0
    low, high = 0.0, 1.0 / max(target, 1e-12)
    while spends(high) > target and high < 1e12:
        low, high = high, 4.0 * high
    for _ in range(STEPS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if spends(middle) > target else (low, middle)
    return high
