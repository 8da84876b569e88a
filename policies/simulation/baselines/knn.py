"""Nearest neighbours: an arm is expected to do as it did on the most similar requests it was seen on.

Hard to beat among published routers ("Rethinking predictive modeling for LLM routing", 2025, arXiv 2505.12601).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.simulation.baselines.embedding import Embedding
from policies.simulation.queries import Labelled, Queries

__all__ = ("Neighbours",)

F64 = NDArray[np.float64]

NEIGHBOURS = 64
DIMENSIONS = 96
_BLOCK = 512


class Neighbours:
    """Means over the nearest by the cosine of embeddings."""

    def __init__(self, rows: Labelled, rng: np.random.Generator) -> None:
        """Keep the rows."""
        self._embedding = Embedding(rows.queries, dimensions=DIMENSIONS, rng=rng)
        self._vectors = self._unit(rows.queries)
        self._rows = rows

    def predict(self, queries: Queries) -> tuple[F64, F64]:
        """Quality and cost; shapes (n, k)."""
        vectors = self._unit(queries)
        shape = (len(queries), len(self._rows.arms))
        quality = np.full(shape, float(np.nanmean(self._rows.quality)))
        cost = np.full(shape, float(np.nanmean(self._rows.cost_usd)))
        for arm in range(shape[1]):
            known = np.flatnonzero(self._rows.revealed(arm))
            count = min(NEIGHBOURS, len(known))
            if not count:
                continue
            for start in range(0, len(vectors), _BLOCK):
                block = slice(start, start + _BLOCK)
                similarity = vectors[block] @ self._vectors[known].T
                nearest = known[np.argpartition(-similarity, count - 1, axis=1)[:, :count]]
                quality[block, arm] = self._rows.quality[nearest, arm].mean(axis=1)
                cost[block, arm] = self._rows.cost_usd[nearest, arm].mean(axis=1)
        return quality, cost

    def _unit(self, queries: Queries) -> F64:
        vectors = self._embedding.vectors(queries)
        unit: F64 = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return unit
