"""LinUCB with disjoint arms (Li et al., 2010), costs as linear as qualities, a budget kept by `Pacer`."""

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
    """Ridge regressions of quality and cost on d inputs for each of k arms, by their inverse Gram matrices."""

    def __init__(self, k: int, d: int) -> None:
        self.inverse = np.repeat(np.eye(d)[None] / RIDGE, k, axis=0)
        self._moment = np.zeros((k, 2, d))
        self._theta = np.zeros((k, 2, d))

    def warm(self, x: F64, rows: Labelled) -> None:
        """Start from rows whose outcomes are known."""
        for arm in range(len(self._theta)):
            known = rows.revealed(arm)
            seen = x[known]
            self.inverse[arm] = np.linalg.inv(seen.T @ seen + RIDGE * np.eye(x.shape[1]))
            self._moment[arm] = rows.quality[known, arm] @ seen, rows.cost_usd[known, arm] @ seen
            self._theta[arm] = self._moment[arm] @ self.inverse[arm]

    def update(self, x: F64, arm: int, *, quality: float, cost_usd: float) -> None:
        """One more record, by the formula of Sherman and Morrison."""
        step = self.inverse[arm] @ x
        self.inverse[arm] -= np.outer(step, step) / (1.0 + x @ step)
        self._moment[arm] += np.outer((quality, cost_usd), x)
        self._theta[arm] = self._moment[arm] @ self.inverse[arm]

    def predict(self, x: F64) -> tuple[F64, F64]:
        """Quality and cost of every arm; x of shape (..., d), both results (..., k)."""
        return x @ self._theta[:, 0].T, np.maximum(0.0, x @ self._theta[:, 1].T)


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
        return self._arms.predict(_with_constant(self._embedding.whitened(queries)))


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
        self._pacer = Pacer(*self._arms.predict(x if known is None else known), task)

    def choose(self, row: int, *, among: tuple[int, ...]) -> int:
        x = self._x[row]
        spread = np.einsum("i,kij,j->k", x, self._arms.inverse, x)
        quality, cost_usd = self._arms.predict(x)
        return best(quality + self._alpha * np.sqrt(spread), cost_usd, self._pacer, among=among)

    def learn(self, row: int, arm: int, *, quality: float, cost_usd: float) -> None:
        self._arms.update(self._x[row], arm, quality=quality, cost_usd=cost_usd)
        self._pacer.spent(cost_usd)

    def greedy(self, rows: NDArray[np.int64], *, among: tuple[int, ...]) -> NDArray[np.int64]:
        arms = np.array(among)
        quality, cost_usd = self._arms.predict(self._x[rows])
        values = quality - self._pacer.per_usd() * cost_usd
        chosen: NDArray[np.int64] = arms[np.argmax(values[:, arms], axis=1)]
        return chosen


def _with_constant(x: F64) -> F64:
    return np.hstack([x, np.ones((len(x), 1))])
