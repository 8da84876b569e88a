"""What money buys: frontiers of cost and quality, their hulls, and the area under them.

A random mix of two routers reaches every point between theirs, so the hull of some points is what can be had from
them without knowing anything of a request. The hull of the fixed variants is the zero router, the baseline that a
router must beat (Hu et al., RouterBench, 2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ("Hull", "aiq", "sweep", "upper_hull", "zero_router")

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hull:
    """A concave, rising line of quality over cost; flat behind its last corner."""

    costs: F64
    """Corners, strictly rising; shape (n_corners,)."""
    qualities: F64
    """Strictly rising; shape (n_corners,)."""

    def value(self, costs: float | F64) -> F64:
        """Quality to be had at these mean costs; `nan` below the first corner, where nothing is."""
        return np.asarray(np.interp(costs, self.costs, self.qualities, left=np.nan))

    def area(self, low: float, high: float) -> float:
        """Integral of the quality between two costs; nothing is counted below the first corner."""
        start = max(low, float(self.costs[0]))
        if start >= high:
            return 0.0
        inner = self.costs[(self.costs > start) & (self.costs < high)]
        grid = np.concatenate(([start], inner, [high]))
        return float(np.trapezoid(self.value(grid), grid))


def upper_hull(costs: F64, qualities: F64) -> Hull:
    """The non-decreasing upper hull of points; both of shape (n,).

    It runs from the cheapest point to the best one (the cheaper of equals). Andrew's monotone chain, 1979.

    Raises:
        ValueError: There are no points, or some are not finite.
    """
    if len(costs) == 0 or not (np.isfinite(costs).all() and np.isfinite(qualities).all()):
        raise ValueError("a hull needs points, and all of them finite")
    corners: list[tuple[float, float]] = []
    for i in np.lexsort((-qualities, costs)):
        point = (float(costs[i]), float(qualities[i]))
        if corners and point[1] <= corners[-1][1]:
            continue
        while len(corners) > 1 and not _turns_down(corners[-2], corners[-1], point):
            corners.pop()
        corners.append(point)
    return Hull(*np.array(corners).T)


def zero_router(costs: F64, qualities: F64) -> Hull:
    """Hull of the fixed variants, from the outcomes of each on the same rows; both of shape (n_rows, n_variants)."""
    return upper_hull(costs.mean(axis=0), qualities.mean(axis=0))


def aiq(costs: F64, qualities: F64, *, cost_min: float, cost_max: float) -> float:
    """Average improvement in quality: mean height of the points' hull between two costs.

    The hull goes on flat to `cost_max`; hulls are compared with the same two costs. What a router cannot do, to spend
    as little as `cost_min`, counts as quality zero.

    Args:
        costs: Mean cost of the router at each setting; shape (n_settings,).
        qualities: Mean quality at each; shape (n_settings,).
        cost_min: Where the area begins: the mean cost of the cheapest variant.
        cost_max: Where it ends, the same for all that are compared.

    Raises:
        ValueError: The costs leave no room between them, or the points make no hull.
    """
    if not cost_min < cost_max:
        raise ValueError("cost_min must lie below cost_max")
    return upper_hull(costs, qualities).area(cost_min, cost_max) / (cost_max - cost_min)


def sweep(
    predicted_qualities: F64, predicted_costs: F64, *, qualities: F64, costs: F64, lambdas: F64
) -> tuple[F64, F64]:
    """Mean cost and mean quality of `argmax(lambda * quality - cost)`, one of each per lambda.

    The choice is made on what was predicted, the means are of what is so; all arrays of shape (n_rows, n_variants),
    lambdas of shape (n_lambdas,). Of equally good variants the first is taken.
    """
    rows = np.arange(len(qualities))
    chosen = [np.argmax(value * predicted_qualities - predicted_costs, axis=1) for value in lambdas]
    return (
        np.array([costs[rows, choice].mean() for choice in chosen]),
        np.array([qualities[rows, choice].mean() for choice in chosen]),
    )


def _turns_down(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether b lies above the line from a to c."""
    return (b[1] - a[1]) * (c[0] - a[0]) > (c[1] - a[1]) * (b[0] - a[0])
