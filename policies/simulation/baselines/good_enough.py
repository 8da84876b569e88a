"""Cheapest feasible: the cheapest arm whose predicted quality comes close to the best one's. It knows no budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.simulation.baselines.tfidf import Tfidf
from policies.simulation.methods import Start, World

__all__ = ("cheapest_feasible",)

F64 = NDArray[np.float64]

TOLERANCE = 0.05
"""Quality that may be given up."""


def cheapest_feasible(world: World) -> Start:
    """Predicts by `Tfidf` from the warm table.

    Raises:
        ValueError: There is no warm table to predict from.
    """
    if world.warm is None:
        raise ValueError("cheapest-feasible needs a warm table")
    quality, cost_usd = Tfidf(world.warm, np.random.default_rng(0)).predict(world.queries)
    router = _GoodEnough(quality=quality, cost_usd=cost_usd)
    return lambda _task, _rng: router


@dataclass(frozen=True)
class _GoodEnough:
    quality: F64
    cost_usd: F64

    def choose(self, row: int, *, among: tuple[int, ...]) -> int:
        return int(self.greedy(np.array([row]), among=among)[0])

    def learn(self, row: int, arm: int, *, quality: float, cost_usd: float) -> None:
        """It learns nothing."""

    def greedy(self, rows: NDArray[np.int64], *, among: tuple[int, ...]) -> NDArray[np.int64]:
        arms = np.array(among)
        quality, cost_usd = self.quality[rows][:, arms], self.cost_usd[rows][:, arms]
        close = quality >= quality.max(axis=1, keepdims=True) - TOLERANCE
        chosen: NDArray[np.int64] = arms[np.argmin(np.where(close, cost_usd, np.inf), axis=1)]
        return chosen
