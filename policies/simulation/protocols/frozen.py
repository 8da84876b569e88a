"""Frozen: fitted with full information, five-fold, and never learning again: quality above the best fixed arm.

Every row is predicted by a fit on the other folds and answered by the arm predicted best. Standard errors are over
rows, compared in pairs; folds are dealt anew by each seed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policies.simulation.baselines.source_mean import SourceMean
from policies.simulation.crossfit import out_of_fold
from policies.simulation.methods import Method
from policies.simulation.queries import Labelled, Told, silent
from policies.simulation.results import Figures

__all__ = ("measure",)


def measure(rows: Labelled, methods: Sequence[Method], *, seeds: int, told: Told = silent) -> dict[str, Figures]:
    """Figures by method: those that learn, and the mean of each source."""
    every = np.arange(len(rows))
    best = rows.quality[:, int(rows.quality.mean(axis=0).argmax())]
    learners = {method.name: method.learner for method in methods if method.learner is not None}
    found: dict[str, Figures] = {}
    for name, learner in (learners | {"source-mean": SourceMean}).items():
        gains, quality, cost_usd = np.zeros(len(rows)), 0.0, 0.0
        for seed in range(seeds):
            chosen = out_of_fold(learner, rows, seed=seed)[0].argmax(axis=1)
            gains += (rows.quality[every, chosen] - best) / seeds
            quality += float(rows.quality[every, chosen].mean()) / seeds
            cost_usd += float(rows.cost_usd[every, chosen].mean()) / seeds
            told(name, (seed + 1) / seeds)
        found[name] = Figures(
            quality=quality,
            cost_usd=cost_usd,
            gain_points=100.0 * float(gains.mean()),
            gain_points_se=100.0 * float(gains.std(ddof=1)) / len(rows) ** 0.5,
        )
    return found
