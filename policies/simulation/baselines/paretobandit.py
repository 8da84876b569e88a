"""ParetoBandit, the published budget-paced router, by its own package from PyPI (`pip install paretobandit`).

Its bandit, its pacer and its published settings. Its sentence encoder is replaced by `Embedding`, of the same 25
dimensions, and its priors by the warm table's outcomes at the weight its own priors have: the package ships priors
for one encoder and three arms only.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.simulation.baselines.embedding import Embedding
from policies.simulation.methods import Start, Task, World
from policies.simulation.queries import Labelled

__all__ = ("installed", "paretobandit")

F64 = NDArray[np.float64]

DIMENSIONS = 25
COST_PENALTY = 0.3
"""Its default without a budget."""

_TYPICAL_TOKENS = 500.0
"""Turns a mean cost into the price per million tokens that the package wants."""


def installed() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec("pareto_bandit") is not None


def paretobandit(world: World) -> Start:
    """Starts its router afresh for every run.

    Raises:
        ValueError: There is no warm table: prices and priors come from it.
    """
    if world.warm is None:
        raise ValueError("paretobandit needs a warm table")
    warm = world.warm
    embedding = Embedding(warm.queries, dimensions=DIMENSIONS, rng=np.random.default_rng(0))
    x, known = (np.hstack([embedding.whitened(q), np.ones((len(q), 1))]) for q in (world.queries, warm.queries))
    return lambda task, rng: _ParetoBandit(warm, task, x=x, known=known, seed=int(rng.integers(2**31)))


class _ParetoBandit:
    def __init__(self, warm: Labelled, task: Task, *, x: F64, known: F64, seed: int) -> None:
        package = importlib.import_module("pareto_bandit")
        published: dict[str, Any] = importlib.import_module("pareto_bandit.config").BEST_K3_HPARAMS
        pacer = importlib.import_module("pareto_bandit.budget_pacer").BudgetPacer
        self._x, self._names = x, warm.arms
        self._router = package.BanditRouter.create(
            model_registry={
                arm: _prices(usd) for arm, usd in zip(warm.arms, warm.cost_usd.mean(axis=0), strict=True)
            },
            feature_service=package.FeatureService.for_precomputed(x.shape[1]),
            priors="none",
            alpha=published["alpha"],
            forgetting_factor=published["forgetting_factor"],
            bandit_seed=seed,
            # As published: where a pacer sets the price, no other is added.
            cost_penalty=0.0 if task.budget_usd is not None else COST_PENALTY,
            budget_pacer=None if task.budget_usd is None else pacer(task.budget_usd),
        )
        weight = published["prior_n_effective"] / len(warm)
        for row, vector in enumerate(known):
            for arm, name in enumerate(warm.arms):
                score = float(warm.quality[row, arm])
                self._router.update(name, vector, score, weight=weight, advance_time=False)

    def choose(self, row: int, *, among: tuple[int, ...]) -> int:  # noqa: ARG002 - it knows its arms
        name, self._log = self._router.route(self._x[row])
        return self._names.index(name)

    def learn(self, row: int, arm: int, *, quality: float, cost_usd: float) -> None:  # noqa: ARG002
        self._log.cost_usd = cost_usd
        self._router.process_feedback(self._log.request_id, reward=quality)

    def greedy(self, rows: NDArray[np.int64], *, among: tuple[int, ...]) -> NDArray[np.int64]:
        with self._router.exploit():
            return np.array([self.choose(int(row), among=among) for row in rows])


def _prices(mean_usd: float) -> dict[str, float]:
    per_mtok_usd = float(mean_usd) / _TYPICAL_TOKENS * 1e6
    return {"input_cost_per_m": per_mtok_usd, "output_cost_per_m": per_mtok_usd}
