"""The naive baseline: a TF-IDF ridge regression for every arm on its own, and nothing learned online."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.simulation.baselines.costs import CostModel
from policies.simulation.queries import Labelled, Queries
from policies.training.design import Design, Scaling
from policies.training.ridge import ridge

__all__ = ("Tfidf",)

F64 = NDArray[np.float64]

PENALTY = 10.0


class Tfidf:
    """Quality and cost of every arm, linear in the features."""

    def __init__(self, rows: Labelled, _rng: np.random.Generator) -> None:
        """Fit; an arm without any revealed row is taken for the mean of the others."""
        self._scaling = Scaling.of(rows.queries.features)
        matrix = Design.of(rows.queries.features, self._scaling).matrix
        fits = []
        for arm in range(len(rows.arms)):
            known = rows.revealed(arm)
            if known.any():
                fits.append(ridge(matrix[known], rows.quality[known, arm], penalty=PENALTY))
            else:
                fits.append((np.zeros(matrix.shape[1]), float(np.nanmean(rows.quality))))
        self._weights = np.column_stack([weights for weights, _ in fits])
        self._level = np.array([level for _, level in fits])
        self._costs = CostModel(matrix, rows)

    def predict(self, queries: Queries) -> tuple[F64, F64]:
        """Quality and cost; shapes (n, k)."""
        matrix = Design.of(queries.features, self._scaling).matrix
        return matrix @ self._weights + self._level, self._costs.predict(matrix)
