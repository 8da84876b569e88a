"""Fits P(good | request, variant) by ridge regression in two steps, and calibrates it out of sample.

First one regression for all variants on what their scores have in common: how hard a request is. Then one for each
variant on what that leaves, under a stronger penalty: what sets it apart. Under bandit feedback every record so
teaches something about every variant. Last a line per variant from predicted to observed scores on held-out records,
folded into the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from policies.estimators.quality import QualityModel
from policies.features.layout import GRAM_BUCKETS, GROUP_BUCKETS
from policies.features.types import Features
from policies.training.design import Design, Scaling, heads_of

__all__ = ("Judgements", "fit_quality", "ridge_heads")

F64 = NDArray[np.float64]

SHARED_PENALTY = 10.0
OWN_PENALTY = 30.0
"""Chosen on public tables by five-fold ranking and bandit replay; both are flat within a factor of two."""

FOLDS = 3
MANY = 20_000
"""From so many records on one held-out fifth calibrates, and no record is fitted on twice."""

LINE_PRIOR = 50.0
"""Records that `the fit is calibrated already` is worth."""


@dataclass(frozen=True, kw_only=True)
class Judgements:
    """Judged answers as columns, n of them, over some requests."""

    request: NDArray[np.int64]
    """Which request; index into the features."""
    variant: NDArray[np.int64]
    """Which variant; index into the names."""
    score: F64
    """In [0, 1]."""
    weight: F64

    def __getitem__(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Judgements:
        return Judgements(
            request=self.request[rows], variant=self.variant[rows], score=self.score[rows], weight=self.weight[rows]
        )

    def __len__(self) -> int:
        return len(self.score)


def fit_quality(
    features: Sequence[Features], judgements: Judgements, *, variants: tuple[str, ...], seed: int = 0
) -> QualityModel:
    """Fit and calibrate. Every variant needs at least one judgement.

    Args:
        features: Of each request.
        judgements: Which variant's answer to which request was how good.
        variants: Names.
        seed: Of the folds.
    """
    design = Design.of(features, Scaling.of(features))
    matrix, k = design.matrix, len(variants)
    if len(judgements) < MANY:
        coefficients, bias = ridge_heads(matrix, judgements, k=k)
        predicted = _out_of_fold(matrix, judgements, k=k, seed=seed)
        held = judgements
    else:
        last = np.random.default_rng(seed).random(len(judgements)) < 1.0 / 5.0
        held = judgements[last]
        coefficients, bias = ridge_heads(matrix, judgements[~last], k=k)
        predicted = _scores(matrix, held, coefficients, bias)
    slope, level, noise = _lines(predicted, held, k=k)
    squares = np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel().astype(np.float32)
    return QualityModel(
        names=variants,
        heads=heads_of(coefficients * slope, bias * slope + level, design.scaling),
        evidence=squares[:GRAM_BUCKETS],
        membership=squares[-GROUP_BUCKETS:],
        rows=np.bincount(judgements.variant, weights=judgements.weight, minlength=k).astype(np.float32),
        noise=noise.astype(np.float32),
        penalty=OWN_PENALTY,
    )


def ridge_heads(matrix: sp.csr_matrix, judgements: Judgements, *, k: int) -> tuple[F64, F64]:
    """Coefficients and constants of all variants; shapes (n_columns, k) and (k,)."""
    means = _means(judgements, k=k)
    rest = judgements.score - means[judgements.variant]
    common, offset = _ridge(matrix, judgements, rest, SHARED_PENALTY)
    rest = rest - matrix[judgements.request] @ common - offset
    coefficients, bias = np.repeat(common[:, None], k, axis=1), means + offset
    for variant in range(k):
        own = judgements.variant == variant
        if own.any():
            weights, constant = _ridge(matrix, judgements[own], rest[own], OWN_PENALTY)
            coefficients[:, variant] += weights
            bias[variant] += constant
    return coefficients, bias


def _means(judgements: Judgements, *, k: int) -> F64:
    """Mean score of each variant; of one without any, that of all."""
    totals = np.bincount(judgements.variant, weights=judgements.weight, minlength=k)
    sums = np.bincount(judgements.variant, weights=judgements.weight * judgements.score, minlength=k)
    return np.where(totals > 0.0, sums / np.maximum(totals, 1e-12), sums.sum() / totals.sum())


def _ridge(matrix: sp.csr_matrix, rows: Judgements, target: F64, penalty: float) -> tuple[F64, float]:
    model = Ridge(alpha=penalty, solver="sparse_cg", tol=1e-4)
    model.fit(matrix[rows.request], target, sample_weight=rows.weight)
    return model.coef_.astype(np.float64), float(model.intercept_)


def _scores(matrix: sp.csr_matrix, rows: Judgements, coefficients: F64, bias: F64) -> F64:
    scores: F64 = (matrix @ coefficients + bias)[rows.request, rows.variant]
    return scores


def _out_of_fold(matrix: sp.csr_matrix, judgements: Judgements, *, k: int, seed: int) -> F64:
    """Each score as predicted by a fit that saw no answer to its request."""
    predicted = np.zeros(len(judgements))
    requests = np.unique(judgements.request)
    if len(requests) < FOLDS:
        return judgements.score.copy()
    for _, out in KFold(FOLDS, shuffle=True, random_state=seed).split(requests):
        held = np.isin(judgements.request, requests[out])
        coefficients, bias = ridge_heads(matrix, judgements[~held], k=k)
        predicted[held] = _scores(matrix, judgements[held], coefficients, bias)
    return predicted


def _lines(predicted: F64, held: Judgements, *, k: int) -> tuple[F64, F64, F64]:
    """Slope, constant and residual variance of each variant's line; shapes (k,)."""
    lines = np.tile((1.0, 0.0, 0.25), (k, 1))
    for variant in range(k):
        own = held.variant == variant
        if held.weight[own].sum() > 1.0:
            lines[variant] = _line(predicted[own], held.score[own], held.weight[own])
    return lines[:, 0], lines[:, 1], lines[:, 2]


def _line(x: F64, y: F64, weight: F64) -> tuple[float, float, float]:
    """Weighted least squares of y on x, drawn towards the identity so that a handful of records moves nothing."""
    total = weight.sum()
    trust = total / (total + LINE_PRIOR)
    at, to = np.average(x, weights=weight), np.average(y, weights=weight)
    spread = max(1e-9, float(np.average((x - at) ** 2, weights=weight)))
    slope = np.average((x - at) * (y - to), weights=weight) / spread
    slope = np.clip(1.0 + trust * (slope - 1.0), 0.25, 2.0)
    level = at + trust * (to - at) - slope * at
    noise = np.average((y - level - slope * x) ** 2, weights=weight)
    return float(slope), float(level), float(np.clip(noise, 1e-4, 1.0))
