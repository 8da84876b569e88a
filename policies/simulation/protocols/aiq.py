"""AIQ: the quality a method buys over the whole range of costs, with full information.

Every row is predicted by a fit on the other folds. Lambda is swept in `argmax(lambda * quality - cost)`; the area
under the hull of what that comes to lies between the mean costs of the cheapest and the dearest arm. The zero router,
the hull of the fixed arms, is the baseline to beat.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from policies.evaluation.hull import aiq, upper_hull
from policies.simulation.crossfit import out_of_fold
from policies.simulation.methods import Method
from policies.simulation.queries import Labelled, Told, silent
from policies.simulation.results import OURS, RESAMPLES, Figures, Sampled, figures

__all__ = ("measure",)

F64 = NDArray[np.float64]

LAMBDAS = 80


def measure(rows: Labelled, methods: Sequence[Method], *, seeds: int, told: Told = silent) -> dict[str, Figures]:
    """Figures by method: those that learn, the fixed arms, their mix (the zero router) and the oracle."""
    settings = {"zero-router": [(rows.quality, rows.cost_usd)], "oracle": [_swept(rows, rows.quality, rows.cost_usd)]}
    for method in methods:
        if method.learner is not None:
            settings[method.name] = []
            for seed in range(seeds):
                settings[method.name].append(_swept(rows, *out_of_fold(method.learner, rows, seed=seed)))
                told(method.name, (seed + 1) / seeds)
    counts = np.random.default_rng(0).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=RESAMPLES)
    sampled = {name: _sampled(rows, of, counts / len(rows)) for name, of in settings.items()}
    measured = {
        name: figures(of, None if name == OURS else sampled.get(OURS), frontier=_frontier(settings[name]))
        for name, of in sampled.items()
    }
    return measured | {
        f"fixed:{arm}": Figures(quality=float(rows.quality[:, i].mean()), cost_usd=float(rows.cost_usd[:, i].mean()))
        for i, arm in enumerate(rows.arms)
    }


def _swept(rows: Labelled, quality: F64, cost_usd: F64) -> tuple[F64, F64]:
    """Quality and cost of each row at each lambda, chosen by these predictions; shapes (n, LAMBDAS)."""
    scale = rows.cost_usd.mean(axis=0)
    lambdas = np.geomspace(scale.min() * 1e-1, scale.max() * 1e4, LAMBDAS)
    every = np.arange(len(rows))
    chosen = [np.argmax(value * quality - cost_usd, axis=1) for value in lambdas]
    return (
        np.column_stack([rows.quality[every, choice] for choice in chosen]),
        np.column_stack([rows.cost_usd[every, choice] for choice in chosen]),
    )


def _sampled(rows: Labelled, settings: list[tuple[F64, F64]], weights: F64) -> dict[str, Sampled]:
    """AIQ, with the rows weighed anew for each replicate; and quality and cost where the quality is highest."""
    even = np.full(len(rows), 1 / len(rows))
    value = float(np.mean([_aiq(rows, of, even) for of in settings]))
    replicates = np.array([_aiq(rows, settings[turn % len(settings)], row) for turn, row in enumerate(weights)])
    best = [int(np.argmax(quality.mean(axis=0))) for quality, _ in settings]
    at_best = {
        "quality": np.mean([quality[:, i].mean() for (quality, _), i in zip(settings, best, strict=True)]),
        "cost_usd": np.mean([cost[:, i].mean() for (_, cost), i in zip(settings, best, strict=True)]),
    }
    return {"aiq": Sampled(value=value, replicates=replicates)} | {
        name: Sampled(value=float(of)) for name, of in at_best.items()
    }


def _aiq(rows: Labelled, setting: tuple[F64, F64], weights: F64) -> float:
    quality, cost_usd = setting
    fixed = weights @ rows.cost_usd
    return aiq(weights @ cost_usd, weights @ quality, cost_min=float(fixed.min()), cost_max=float(fixed.max()))


def _frontier(settings: list[tuple[F64, F64]]) -> list[tuple[float, float]]:
    quality = np.mean([of.mean(axis=0) for of, _ in settings], axis=0)
    cost_usd = np.mean([of.mean(axis=0) for _, of in settings], axis=0)
    hull = upper_hull(cost_usd, quality)
    return list(zip(hull.costs.tolist(), hull.qualities.tolist(), strict=True))
