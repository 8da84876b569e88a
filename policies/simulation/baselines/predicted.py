"""Any learner as a router under bandit feedback: it predicts, chooses by the predictions, and is fitted again.

With a warm start it is fitted on that once and learns nothing more. Without one it first tries arms at random, goes
on trying some at a small rate, and is fitted again on what was revealed whenever that has doubled.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from policies.simulation.baselines.pacing import Pacer, best
from policies.simulation.crossfit import out_of_fold
from policies.simulation.methods import Learner, Router, Start, Task, World
from policies.simulation.queries import Labelled

__all__ = ("predicted",)

F64 = NDArray[np.float64]

FIRST_FIT = 100
EXPLORED = 0.05


def predicted(learner: Learner) -> Callable[[World], Start]:
    """The router of a learner."""

    def prepare(world: World) -> Start:
        if world.warm is None:
            return lambda task, rng: _Cold(world, task, learner=learner, rng=rng)
        seen = out_of_fold(learner, world.warm, seed=0)
        outlook = learner(world.warm, np.random.default_rng(0)).predict(world.queries)
        return lambda task, _: _Warm(*outlook, pacer=Pacer(*seen, task))

    return prepare


class _Warm:
    def __init__(self, quality: F64, cost_usd: F64, *, pacer: Pacer) -> None:
        self._quality, self._cost_usd, self._pacer = quality, cost_usd, pacer

    def choose(self, row: int, *, among: tuple[int, ...]) -> int:
        return best(self._quality[row], self._cost_usd[row], self._pacer, among=among)

    def learn(self, row: int, arm: int, *, quality: float, cost_usd: float) -> None:  # noqa: ARG002
        self._pacer.spent(cost_usd)

    def greedy(self, rows: NDArray[np.int64], *, among: tuple[int, ...]) -> NDArray[np.int64]:
        arms = np.array(among)
        values = self._quality[rows] - self._pacer.per_usd() * self._cost_usd[rows]
        chosen: NDArray[np.int64] = arms[np.argmax(values[:, arms], axis=1)]
        return chosen


class _Cold:
    def __init__(self, world: World, task: Task, *, learner: Learner, rng: np.random.Generator) -> None:
        self._world, self._task, self._learner, self._rng = world, task, learner, rng
        self._revealed: list[tuple[int, int, float, float]] = []
        self._fit_at = FIRST_FIT
        self._router: Router | None = None

    def choose(self, row: int, *, among: tuple[int, ...]) -> int:
        if self._router is None or self._rng.random() < EXPLORED:
            return int(self._rng.choice(among))
        return self._router.choose(row, among=among)

    def learn(self, row: int, arm: int, *, quality: float, cost_usd: float) -> None:
        self._revealed.append((row, arm, quality, cost_usd))
        if self._router is not None:
            self._router.learn(row, arm, quality=quality, cost_usd=cost_usd)
        if len(self._revealed) >= self._fit_at:
            self._fit_at *= 2
            self._fit()

    def greedy(self, rows: NDArray[np.int64], *, among: tuple[int, ...]) -> NDArray[np.int64]:
        if self._router is None:
            return self._rng.choice(np.array(among), size=len(rows))
        return self._router.greedy(rows, among=among)

    def _fit(self) -> None:
        seen = Labelled.of_choices(self._world.arms, self._world.queries, self._revealed)
        rows = np.array([row for row, *_ in self._revealed])
        outlook = self._learner(seen, self._rng).predict(self._world.queries)
        pacer = Pacer(outlook[0][rows], outlook[1][rows], self._rest(float(np.nansum(seen.cost_usd))))
        self._router = _Warm(*outlook, pacer=pacer)

    def _rest(self, spent_usd: float) -> Task:
        """The task that is left."""
        left = self._task.requests - len(self._revealed)
        if self._task.budget_usd is None:
            return self._task
        whole = self._task.budget_usd * self._task.requests
        return Task(requests=left, budget_usd=(whole - spent_usd) / max(1, left))
