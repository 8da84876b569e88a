"""Our method: the very estimators and the very pacer that serve requests, in the hands of the protocols."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.estimators.drift import DriftDetector
from policies.estimators.quality import OnlineQuality, QualityModel
from policies.pacing import Pacer
from policies.policy import Budget
from policies.simulation.baselines.costs import CostModel
from policies.simulation.methods import Method, Start, Task, World
from policies.simulation.queries import Labelled, Queries
from policies.training.design import Design, Scaling
from policies.training.quality import Judgements, fit_quality

__all__ = ("TRILEMMA", "Fitted")

F64 = NDArray[np.float64]

FIRST_FIT = 125
FIT_AGAIN = 1000
"""Requests between two fits, once there are as many; before that the log doubles between them."""

EXPLORED = 0.1
"""Share of requests spread evenly where there was no warm start."""

NOTICED = 50
"""Requests that a change is taken to have been there when it is noticed."""

REPLAYED = 500
"""Latest records that a new fit is shown one by one."""

TRIALS, TRIAL_SHARE = 200, 0.2
"""Requests for which an arm that joins is tried regardless, and the share of requests that are."""

COST_MEMORY, COST_DOUBT = 100.0, 3.0
"""Requests over which an arm's costs are held against what was predicted, and those that count after a change."""


class Fitted:
    """What `trilemma train` makes of a log, and costs in proportion."""

    def __init__(self, rows: Labelled, _rng: np.random.Generator) -> None:
        """Fit on what is revealed."""
        request, arm = np.nonzero(~np.isnan(rows.quality))
        tried, variant = np.unique(arm, return_inverse=True)
        judgements = Judgements(
            request=request, variant=variant, score=rows.quality[request, arm], weight=np.ones(len(request))
        )
        names = tuple(rows.arms[place] for place in tried)
        self.quality: QualityModel = fit_quality(rows.queries.features, judgements, variants=names)
        self._scaling = Scaling.of(rows.queries.features)
        self._costs = CostModel(Design.of(rows.queries.features, self._scaling).matrix, rows)

    def costs(self, queries: Queries) -> F64:
        """Dollars; shape (n, k)."""
        return self._costs.predict(Design.of(queries.features, self._scaling).matrix)

    def predict(self, queries: Queries) -> tuple[F64, F64]:
        """Quality and cost; shapes (n, k)."""
        fitted = OnlineQuality(self.quality)
        names = self.quality.names
        quality = [fitted.predict(features, names=names)[0] for features in queries.features]
        return np.array(quality).reshape(len(queries), len(names)), self.costs(queries)


def prepare(world: World) -> Start:
    """Fit on the warm table; without one, on what is revealed, whenever that has doubled."""
    if world.warm is None:
        return lambda task, rng: _Run(world, task, rng=rng, fitted=None, costs=None)
    fitted = Fitted(world.warm, np.random.default_rng(0))
    costs = fitted.costs(world.queries)
    return lambda task, rng: _Run(world, task, rng=rng, fitted=fitted, costs=costs)


TRILEMMA = Method(name="trilemma", learner=Fitted, prepare=prepare)


class _Run:
    def __init__(
        self, world: World, task: Task, *, rng: np.random.Generator, fitted: Fitted | None, costs: F64 | None
    ) -> None:
        self._world, self._task, self._rng = world, task, rng
        self._costs = costs
        self._quality = None if fitted is None else OnlineQuality(fitted.quality)
        self._explored = EXPLORED if fitted is None else 0.0
        self._revealed: list[tuple[int, int, float, float]] = []
        self._changed_at = [0] * len(world.arms)
        self._fit_at = FIRST_FIT
        self._cost_ratio = np.ones(len(world.arms))
        self._cost_seen = np.full(len(world.arms), COST_MEMORY)
        self._cost_drift = [DriftDetector() for _ in world.arms]
        self._on_trial: dict[int, int] = {}
        budget_usd = task.budget_usd
        self._pacer = None if budget_usd is None else Pacer(Budget(usd=budget_usd), now_s=0.0)

    def choose(self, row: int, *, among: tuple[int, ...]) -> int:
        if self._pacer is not None:
            self._pacer.admit(now_s=0.0)
        if self._quality is None or self._costs is None:
            return int(self._rng.choice(among))
        names = [self._world.arms[arm] for arm in among]
        for arm, name in zip(among, names, strict=True):
            if name not in self._quality.names:
                self._quality.add(name, parent=self._quality.names[-1])
                self._on_trial[arm] = TRIALS
                self._fit_at = len(self._revealed) + FIRST_FIT
        quality = self._quality.predict(self._world.queries.features[row], names=names)[0]
        cost_usd = (self._costs[row] * self._cost_ratio)[list(among)]
        for arm, left in self._on_trial.items():
            if left > 0 and arm in among and self._rng.random() < TRIAL_SHARE:
                return arm
        if self._explored and self._rng.random() < self._explored:
            return int(self._rng.choice(among))
        if self._pacer is None:
            return among[int(np.argmax(quality - self._task.per_usd * cost_usd))]
        self._pacer.foresee(quality.tolist(), cost_usd.tolist())
        values = quality - self._pacer.price_per_usd * cost_usd
        within = cost_usd <= self._pacer.ceiling_usd
        return among[int(np.argmax(np.where(within, values, -np.inf)) if within.any() else np.argmin(cost_usd))]

    def learn(self, row: int, arm: int, *, quality: float, cost_usd: float) -> None:
        if self._pacer is not None:
            self._pacer.charge(cost_usd)
        if arm in self._on_trial:
            self._on_trial[arm] -= 1
        self._move(row, arm, quality=quality, cost_usd=cost_usd)
        if self._world.warm is None:
            self._revealed.append((row, arm, quality, cost_usd))
            if len(self._revealed) >= self._fit_at:
                self._fit_at = len(self._revealed) + min(len(self._revealed), FIT_AGAIN)
                self._fit()

    def _move(self, row: int, arm: int, *, quality: float, cost_usd: float) -> None:
        """Learn from one record at once."""
        if self._costs is not None:
            self._follow_cost(arm, cost_usd / self._costs[row, arm])
        if self._quality is not None:
            alerts = self._quality.alerts
            self._quality.update(self._world.queries.features[row], self._world.arms[arm], quality)
            if self._quality.alerts > alerts:
                self._changed_at[arm] = len(self._revealed)

    def _follow_cost(self, arm: int, ratio: float) -> None:
        """Move along with an arm's costs, at once when they have changed."""
        if self._cost_drift[arm].alerts(ratio / max(1e-9, self._cost_ratio[arm]) - 1.0):
            self._cost_seen[arm] = COST_DOUBT
        self._cost_seen[arm] = min(COST_MEMORY, self._cost_seen[arm] + 1.0)
        self._cost_ratio[arm] += (ratio - self._cost_ratio[arm]) / self._cost_seen[arm]

    def greedy(self, rows: NDArray[np.int64], *, among: tuple[int, ...]) -> NDArray[np.int64]:
        if self._quality is None or self._costs is None:
            return self._rng.choice(np.array(among), size=len(rows))
        names, arms = [self._world.arms[arm] for arm in among], np.array(among)
        features = self._world.queries.features
        quality = np.array([self._quality.predict(features[row], names=names)[0] for row in rows.tolist()])
        price = self._task.per_usd if self._pacer is None else self._pacer.price_per_usd
        chosen: NDArray[np.int64] = arms[
            np.argmax(quality - price * (self._costs[rows] * self._cost_ratio)[:, arms], axis=1)
        ]
        return chosen

    def _fit(self) -> None:
        # What an arm did before it changed says nothing of what it does now.
        known = [record for at, record in enumerate(self._revealed) if at >= self._changed_at[record[1]] - NOTICED]
        fitted = Fitted(Labelled.of_choices(self._world.arms, self._world.queries, known), self._rng)
        self._quality, self._costs = OnlineQuality(fitted.quality), fitted.costs(self._world.queries)
        self._cost_ratio[:] = 1.0
        # A fit on all that was seen averages over changes; the latest records tell where things stand now.
        for row, arm, quality, cost_usd in self._revealed[-REPLAYED:]:
            self._move(row, arm, quality=quality, cost_usd=cost_usd)
