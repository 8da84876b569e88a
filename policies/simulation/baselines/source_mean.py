"""The simplest baseline that knows anything: the mean of every arm on requests of the same source."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.simulation.queries import Labelled, Queries

__all__ = ("SourceMean",)

F64 = NDArray[np.float64]

PRIOR_ROWS = 20.0
"""Rows that the mean over all sources is worth."""


class SourceMean:
    """Quality and cost of every arm, one number per source."""

    def __init__(self, rows: Labelled, _rng: np.random.Generator) -> None:
        """Take the means; an arm without any revealed row has that of the others."""
        self._quality = np.nan_to_num(np.nanmean(rows.quality, axis=0), nan=float(np.nanmean(rows.quality)))
        self._cost_usd = np.nan_to_num(np.nanmean(rows.cost_usd, axis=0), nan=float(np.nanmean(rows.cost_usd)))
        self._by_source = {}
        for source in set(rows.queries.sources.tolist()):
            mine = rows.quality[rows.queries.sources == source]
            known = (~np.isnan(mine)).sum(axis=0)
            total = np.nansum(mine, axis=0) + PRIOR_ROWS * self._quality
            self._by_source[source] = total / (known + PRIOR_ROWS)

    def predict(self, queries: Queries) -> tuple[F64, F64]:
        """Quality and cost; shapes (n, k)."""
        quality = [self._by_source.get(source, self._quality) for source in queries.sources.tolist()]
        return np.array(quality), np.tile(self._cost_usd, (len(queries), 1))
