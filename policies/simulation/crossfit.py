"""Predictions for every row of a table by learners that did not see it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.simulation.methods import Learner
from policies.simulation.queries import Labelled

__all__ = ("FOLDS", "out_of_fold")

F64 = NDArray[np.float64]

FOLDS = 5


def out_of_fold(learner: Learner, rows: Labelled, *, seed: int, folds: int = FOLDS) -> tuple[F64, F64]:
    """Quality and cost as predicted by fits on the other folds; shapes (n, k)."""
    rng = np.random.default_rng(seed)
    fold = rng.permutation(len(rows)) % folds
    quality, cost_usd = np.empty_like(rows.quality), np.empty_like(rows.cost_usd)
    for held in range(folds):
        inside = fold == held
        learned = learner(rows.take(~inside), rng)
        quality[inside], cost_usd[inside] = learned.predict(rows.queries.take(inside))
    return quality, cost_usd
