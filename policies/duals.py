"""The price of what is scarce: the multiplier of a constraint on a mean, solved on what requests could choose from.

A request takes `argmax(utility - price * cost)`. The least price at which the mean cost meets its target is the dual
optimum of the constrained problem (re-solving on recent requests: Jasin and Kumar, 2012). Dollars are such a cost, so
is the quality that an answer lacks.

The candidates that a request takes at some price are the upper hull of its (cost, utility) points, and it moves to
the next cheaper one at the slope between the two. So the mean cost is a step function of the price with known steps,
and the price is found by ordering the few steps near the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ("Alternating", "Dual", "Foreseen")

F64 = NDArray[np.float64]

HIGHEST = 1e12
"""The price where even the cheapest candidates cost more than the target: every request takes its cheapest."""

APART = 1e-9
"""Utility of a mean cost by which a price is beside a step, so that rounding does not decide who takes the step."""

NEAR = 1.1
"""Factor around the last solution within which the next one is looked for first."""

LEAST = 1e-300


class Dual(NamedTuple):
    """A price, and how to spend exactly the target where the target lies within a step."""

    price: float
    """The least one at which the mean cost is at most the target."""
    below: float
    """The price on the other side of the step, at which the mean cost is above the target; else the same."""
    share: float
    """Of the requests, decided at `below`, with which the mean cost is the target."""


FREE = Dual(0.0, 0.0, 0.0)
"""Nothing is scarce."""


class Alternating:
    """Gives each request one of a dual's two prices, so that a run of any length spends nearly what the dual does."""

    def __init__(self) -> None:
        self.dual = FREE
        self._due = 0.0

    def next_price(self) -> float:
        """The price of one request; call it once for each."""
        self._due += self.dual.share
        if self._due < 1.0:
            return self.dual.price
        self._due -= 1.0
        return self.dual.below


class Foreseen:
    """What the latest requests could have chosen from: feasible candidates only, utilities before the price."""

    def __init__(self, *, window: int) -> None:
        self._least = np.zeros(window)
        """Cost of each request's cheapest candidate; shape (window,)."""
        self._steps = np.zeros((window, 1))
        """Prices at which a request moves to a cheaper candidate; shape (window, most steps of a request)."""
        self._saves = np.zeros((window, 1))
        """What each step saves; 0 where there is none."""
        self._seen = 0
        self._last = 0.0
        """The last solution."""

    def add(self, utilities: Sequence[float], costs: Sequence[float]) -> None:
        """Remember one request, if it had a choice; the oldest one is forgotten for it."""
        if not costs:
            return
        least, steps, saves = _steps(utilities, costs)
        if (missing := len(steps) - self._steps.shape[1]) > 0:
            self._steps, self._saves = (np.pad(a, ((0, 0), (0, missing))) for a in (self._steps, self._saves))
        place = self._seen % len(self._least)
        self._least[place] = least
        self._steps[place] = self._saves[place] = 0.0
        self._steps[place, : len(steps)], self._saves[place, : len(steps)] = steps, saves
        self._seen += 1

    def solve(self, *, target: float) -> Dual | None:
        """The price at which they cost at most the target on average; None where nothing is known."""
        rows = min(self._seen, len(self._least))
        if not rows:
            return None
        steps, saves = self._steps[:rows].ravel(), self._saves[:rows].ravel()
        least, most = float(self._least[:rows].sum()), float(saves.sum())
        left = target * rows - least
        if left < 0.0:
            return Dual(HIGHEST, HIGHEST, 0.0)
        if most <= left:
            return FREE
        scale = rows / (least + most)
        step = self._last = _crossed(steps, saves, left, guess=self._last or scale)
        apart = APART * max(step, scale)
        if step <= apart:  # Equals: the cheaper one costs no utility.
            return Dual(step + apart, step + apart, 0.0)
        more, whole = (_spent(steps, saves, price) for price in (step + apart, step - apart))
        return Dual(step + apart, step - apart, min(1.0, max(0.0, (left - more) / (whole - more))))


def _steps(utilities: Sequence[float], costs: Sequence[float]) -> tuple[float, list[float], list[float]]:
    """Of one request: its least cost, the prices of its steps from the cheapest up, and what each saves."""
    hull: list[tuple[float, float]] = []
    steps: list[float] = []
    for cost, utility in sorted(zip(costs, utilities, strict=True)):
        if hull and utility < hull[-1][1]:
            continue
        while hull:
            dearer = cost - hull[-1][0]
            slope = (utility - hull[-1][1]) / dearer if dearer > 0.0 else np.inf
            if slope < (steps[-1] if steps else np.inf):
                steps.append(slope)
                break
            hull.pop()
            del steps[-1:]
        hull.append((cost, utility))
    return hull[0][0], steps, [dear[0] - cheap[0] for cheap, dear in pairwise(hull)]


def _spent(steps: F64, saves: F64, price: float) -> float:
    """What is spent at a price beyond the least costs."""
    return float(saves @ (steps > price))


def _crossed(steps: F64, saves: F64, left: float, *, guess: float) -> float:
    """The step at which what is spent falls to what is left, or below it."""
    low, high = _bracket(steps, saves, left, guess=guess)
    inside = np.flatnonzero((steps > low) & (steps <= high))
    order = inside[np.argsort(steps[inside])[::-1]]
    # From the highest price down, what is not saved is spent.
    spent = np.cumsum(saves[order]) + _spent(steps, saves, high)
    place = int(np.searchsorted(spent, left, side="right"))
    return float(steps[order[min(place, len(order) - 1)]])


def _bracket(steps: F64, saves: F64, left: float, *, guess: float) -> tuple[float, float]:
    """A lower price that spends more than is left, and a higher one that does not, around the guess."""
    low = high = guess
    factor = NEAR
    if _spent(steps, saves, guess) > left:
        while _spent(steps, saves, high) > left:
            low, high = high, high * factor
            factor *= factor
        return low, high
    while low > LEAST and _spent(steps, saves, low) <= left:
        low, high = low / factor, low
        factor *= factor
    return (low if low > LEAST else -1.0), high
