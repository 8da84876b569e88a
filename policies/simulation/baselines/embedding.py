"""Short dense vectors of requests, for baselines that need them: the leading directions of the TF-IDF matrix.

Singular vectors by randomised subspace iteration (Halko, Martinsson and Tropp, 2011). They stand in for a sentence
encoder, whose latency a router cannot afford and whose weights a simulation should not need to fetch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.simulation.queries import Queries
from policies.training.design import Design, Scaling

__all__ = ("Embedding",)

F64 = NDArray[np.float64]

_EXTRA, _ITERATIONS = 8, 3


class Embedding:
    """Fitted on requests without any of their outcomes."""

    def __init__(self, queries: Queries, *, dimensions: int, rng: np.random.Generator) -> None:
        """Fit. The vectors have `dimensions` entries, or as many as there are requests."""
        self._scaling = Scaling.of(queries.features)
        matrix = Design.of(queries.features, self._scaling).matrix
        width = min(dimensions + _EXTRA, len(queries))
        basis = rng.normal(size=(len(queries), width))
        for _ in range(_ITERATIONS):
            basis = np.linalg.qr(matrix @ (matrix.T @ basis))[0]
        spanned = matrix.T @ basis
        squares, turns = np.linalg.eigh(spanned.T @ spanned)
        sizes = np.sqrt(np.maximum(squares[::-1][:dimensions], 1e-12))
        self._directions = spanned @ turns[:, ::-1][:, :dimensions] / sizes
        self._scale = sizes / np.sqrt(len(queries))

    def vectors(self, queries: Queries) -> F64:
        """Similar requests have similar ones; shape (n, dimensions)."""
        vectors: F64 = Design.of(queries.features, self._scaling).matrix @ self._directions
        return vectors

    def whitened(self, queries: Queries) -> F64:
        """The same with entries of about unit size, as linear bandits want them."""
        vectors: F64 = self.vectors(queries) / self._scale
        return vectors
