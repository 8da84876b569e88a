"""APGR: how well a method tells, with full information, which requests need the strong arm.

Five-fold: every row is scored by a fit on the other folds, its score the predicted gain of the strong arm over the
weak one. Strong and weak are the arms of highest and lowest mean quality. Seeds deal the folds; intervals resample
rows and seeds together, the same ones for every method.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from policies.evaluation.metrics import apgr, cpt
from policies.simulation.crossfit import out_of_fold
from policies.simulation.methods import Method
from policies.simulation.queries import Labelled, Told, silent
from policies.simulation.results import OURS, RESAMPLES, Figures, Sampled, figures

__all__ = ("measure", "weak_and_strong")

F64 = NDArray[np.float64]


def weak_and_strong(rows: Labelled) -> tuple[int, int]:
    """The arms of lowest and of highest mean quality.

    Raises:
        ValueError: All arms are equally good.
    """
    means = rows.quality.mean(axis=0)
    if means.min() == means.max():
        raise ValueError("APGR needs a weak arm and a better one; all arms of this table are equally good")
    return int(means.argmin()), int(means.argmax())


def measure(rows: Labelled, methods: Sequence[Method], *, seeds: int, told: Told = silent) -> dict[str, Figures]:
    """Figures by method: those that learn, the random router and the oracle."""
    weak, strong = weak_and_strong(rows)
    scores = {"random": [np.zeros(len(rows))], "oracle": [rows.quality[:, strong] - rows.quality[:, weak]]}
    for method in methods:
        if method.learner is not None:
            scores[method.name] = []
            for seed in range(seeds):
                quality, _ = out_of_fold(method.learner, rows, seed=seed)
                scores[method.name].append(quality[:, strong] - quality[:, weak])
                told(method.name, (seed + 1) / seeds)
    sampled = {
        name: _sampled(of, weak=rows.quality[:, weak], strong=rows.quality[:, strong]) for name, of in scores.items()
    }
    return {name: figures(of, None if name == OURS else sampled.get(OURS)) for name, of in sampled.items()}


def _sampled(scores: list[F64], *, weak: F64, strong: F64) -> dict[str, Sampled]:
    measured = np.array([_figures(of, weak, strong) for of in scores]).mean(axis=0)
    rng, replicates = np.random.default_rng(0), []
    for turn in range(RESAMPLES):
        rows = rng.integers(len(weak), size=len(weak))
        replicates.append(_figures(scores[turn % len(scores)][rows], weak[rows], strong[rows]))
    columns = np.array(replicates).T
    return {
        name: Sampled(value=float(value), replicates=column)
        for name, value, column in zip(("apgr", "cpt50", "cpt80"), measured, columns, strict=True)
    }


def _figures(scores: F64, weak: F64, strong: F64) -> tuple[float, float, float]:
    """`nan` where a resample leaves no gap between weak and strong."""
    if not weak.mean() < strong.mean():
        return (float("nan"),) * 3
    return (
        apgr(scores, weak=weak, strong=strong),
        cpt(scores, weak=weak, strong=strong, recovered=0.5),
        cpt(scores, weak=weak, strong=strong, recovered=0.8),
    )
