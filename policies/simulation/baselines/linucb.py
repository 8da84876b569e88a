"""LinUCB with disjoint arms (Li et al., 2010); a cost is known as its arm's mean, a budget is kept by `Pacer`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.simulation.baselines.embedding import Embedding
from policies.simulation.baselines.pacing import Pacer, best
from policies.simulation.methods import Start, Task, World
from policies.simulation.queries import Labelled, Queries

__all__ = ("LinearFit", "linucb")

F64 = NDArray[np.float64]

ALPHA, ALPHA_COLD = 0.05, 0.5
"""Standard errors of optimism after a warm start, and without one."""
DIMENSIONS = 25
RIDGE = 1.0


class _Arms:
    """Ridge regressions of k arms on d inputs, by their inverse Gram matrices."""

    def __init__(self, k: int, d: int) -> None:
        self.inverse = np.repeat(np.eye(d)[None] / RIDGE, k, axis=0)
        self.moment = np.zeros((k, d))
        self.theta = np.zeros((k, d))
        self.cost_sum, self.count = np.zeros(k), np.zeros(k)

    def warm(self, x: F64, rows: Labelled) -> None:
        """Start from rows whose outcomes are known."""
        for arm in range(len(self.theta)):
            known = rows.revealed(arm)
            seen = x[known]
            self.inverse[arm] = np.linalg.inv(seen.T @ seen + RIDGE * np.eye(x.shape[1]))
            self.moment[arm] = seen.T @ rows.quality[known, arm]
            self.theta[arm] = self.inverse[arm] @ self.moment[arm]
            self.cost_sum[arm], self.count[arm] = rows.cost_usd[known, arm].sum(), known.sum()

    def update(self, x: F64, arm: int, *, quality: float, cost_usd: float) -> None:
        """One more record, by the formula of Sherman and Morrison."""
        step = self.inverse[arm] @ x
        self.inverse[arm] -= np.outer(step, step) / (1.0 + x @ step)
        self.moment[arm] += quality * x
        self.theta[arm] = self.inverse[arm] @ self.moment[arm]
        self.cost_sum[arm] += cost_usd
        self.count[arm] += 1.0

    def costs(self) -> F64:
        """Mean cost of each arm; of one never tried the mean of all."""
        overall = self.cost_sum.sum() / max(1.0, self.count.sum())
        costs: F64 = np.where(self.count > 0, self.cost_sum / np.maximum(self.count, 1.0), overall)
        return costs


class LinearFit:
    """Full information: the same regressions, fitted on whole rows."""

    def __init__(self, rows: Labelled, rng: np.random.Generator) -> None:
        """Fit."""
        self._embedding = Embedding(rows.queries, dimensions=DIMENSIONS, rng=rng)
        x = _with_constant(self._embedding.whitened(rows.queries))
        self._arms = _Arms(len(rows.arms), x.shape[1])
        self._arms.warm(x, rows)

    def predict(self, queries: Queries) -> tuple[F64, F64]:
        """Quality and cost; shapes (n, k)."""
        quality = _with_constant(self._embedding.whitened(queries)) @ self._arms.theta.T
        return quality, np.tile(self._arms.costs(), (len(queries), 1))


def linucb(world: World) -> Start:
    """The bandit. Its embedding is fitted on the warm table, else on the prompts to come: in its favour."""
    embedding = Embedding(
        world.warm.queries if world.warm else world.queries, dimensions=DIMENSIONS, rng=np.random.default_rng(0)
    )
    x = _with_constant(embedding.whitened(world.queries))
    known = _with_constant(embedding.whitened(world.warm.queries)) if world.warm else None
    return lambda task, _: _LinUcb(world, task, x=x, known=known)


class _LinUcb:
    def __init__(self, world: World, task: Task, *, x: F64, known: F64 | None) -> None:
        self._x, self._alpha = x, ALPHA_COLD if known is None else ALPHA
        self._arms = _Arms(len(world.arms), x.shape[1])
        if known is not None and world.warm is not None:
            self._arms.warm(known, world.warm)
        seen = x if known is None else known
        quality, costs = seen @ self._arms.theta.T, np.tile(self._arms.costs(), (len(seen), 1))
        self._pacer = Pacer(quality, costs, task)

    def choose(self, row: int, *, among: tuple[int, ...]) -> int:
        x = self._x[row]
        spread = np.einsum("i,kij,j->k", x, self._arms.inverse, x)
        optimistic = self._arms.theta @ x + self._alpha * np.sqrt(spread)
        return best(optimistic, self._arms.costs(), self._pacer, among=among)

    def learn(self, row: int, arm: int, *, quality: float, cost_usd: float) -> None:
        self._arms.update(self._x[row], arm, quality=quality, cost_usd=cost_usd)
        self._pacer.spent(cost_usd)

    def greedy(self, rows: NDArray[np.int64], *, among: tuple[int, ...]) -> NDArray[np.int64]:
        arms = np.array(among)
        values = self._x[rows] @ self._arms.theta.T - self._pacer.per_usd() * self._arms.costs()
        chosen: NDArray[np.int64] = arms[np.argmax(values[:, arms], axis=1)]
        return chosen


def _with_constant(x: F64) -> F64:
    return np.hstack([x, np.ones((len(x), 1))])
