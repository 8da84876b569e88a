"""Fits P(good | request, variant) by ridge regression in two steps, and calibrates it out of sample.

First one regression for all variants on what their scores have in common: how hard a request is. Then one for each
variant on what that leaves: what sets it apart. Under bandit feedback every record so teaches something about every
variant. Last a line from predicted to observed scores on held-out records, one slope for all and a constant for each
variant, folded into the weights: the ridge shrinks predictions, and all alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from policies.estimators.quality import QualityModel
from policies.features.layout import GRAM_BUCKETS, GROUP_BUCKETS
from policies.features.types import Features
from policies.training.design import Design, Scaling, heads_of
from policies.training.ridge import ridge

__all__ = ("Judgements", "fit_quality", "ridge_heads")

F64 = NDArray[np.float64]

SHARED_PENALTY = 10.0
OWN_PENALTY_ALONE = 30.0
OWN_PENALTY_PAIRED = 6.0
"""On what sets a variant apart. Where several variants' answers to a request were judged, what these have in common
cancels between them and is no noise; where one's was, all of it is. Flat within a factor of two, on public tables."""

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
    penalty = own_penalty(judgements)
    if len(judgements) < MANY:
        coefficients, bias = ridge_heads(matrix, judgements, k=k, penalty=penalty)
        held, predicted = judgements, _out_of_fold(matrix, judgements, k=k, penalty=penalty, seed=seed)
    else:
        last = np.random.default_rng(seed).random(len(judgements)) < 1.0 / 5.0
        held = judgements[last]
        coefficients, bias = ridge_heads(matrix, judgements[~last], k=k, penalty=penalty)
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
        penalty=penalty,
    )


def own_penalty(judgements: Judgements) -> float:
    """The penalty on what sets a variant apart, by the share of judgements that share their request with another."""
    _, places, counts = np.unique(judgements.request, return_inverse=True, return_counts=True)
    paired = float(np.mean(counts[places] > 1))
    return paired * OWN_PENALTY_PAIRED + (1.0 - paired) * OWN_PENALTY_ALONE


def ridge_heads(matrix: sp.csr_matrix, judgements: Judgements, *, k: int, penalty: float) -> tuple[F64, F64]:
    """Coefficients and constants of all variants; shapes (n_columns, k) and (k,)."""
    means = _means(judgements, k=k)
    rest = judgements.score - means[judgements.variant]
    common, offset = ridge(matrix[judgements.request], rest, penalty=SHARED_PENALTY, weight=judgements.weight)
    rest = rest - matrix[judgements.request] @ common - offset
    coefficients, bias = np.repeat(common[:, None], k, axis=1), means + offset
    for variant in range(k):
        own = judgements.variant == variant
        if own.any():
            rows = judgements[own]
            weights, constant = ridge(matrix[rows.request], rest[own], penalty=penalty, weight=rows.weight)
            coefficients[:, variant] += weights
            bias[variant] += constant
    return coefficients, bias


def _means(judgements: Judgements, *, k: int) -> F64:
    """Mean score of each variant; of one without any, that of all."""
    totals = np.bincount(judgements.variant, weights=judgements.weight, minlength=k)
    sums = np.bincount(judgements.variant, weights=judgements.weight * judgements.score, minlength=k)
    return np.where(totals > 0.0, sums / np.maximum(totals, 1e-12), sums.sum() / totals.sum())


def _scores(matrix: sp.csr_matrix, rows: Judgements, coefficients: F64, bias: F64) -> F64:
    scores: F64 = (matrix @ coefficients + bias)[rows.request, rows.variant]
    return scores


def _out_of_fold(matrix: sp.csr_matrix, judgements: Judgements, *, k: int, penalty: float, seed: int) -> F64:
    """Each score as predicted by a fit that saw no answer to its request."""
    requests = np.unique(judgements.request)
    if len(requests) < FOLDS:
        return _means(judgements, k=k)[judgements.variant]
    predicted = np.zeros(len(judgements))
    for _, out in KFold(FOLDS, shuffle=True, random_state=seed).split(requests):
        held = np.isin(judgements.request, requests[out])
        fit = ridge_heads(matrix, judgements[~held], k=k, penalty=penalty)
        predicted[held] = _scores(matrix, judgements[held], *fit)
    return predicted


def _lines(predicted: F64, held: Judgements, *, k: int) -> tuple[float, F64, F64]:
    """The slope, and each variant's constant and residual variance: weighted least squares of observed on predicted.

    Drawn towards the identity, so that a handful of records moves nothing.
    """
    weights = [np.where(held.variant == variant, held.weight, 0.0) for variant in range(k)]
    totals = np.array([weight.sum() for weight in weights])
    trust = totals / (totals + LINE_PRIOR)
    at, to = (np.array([_mean(of, weight) for weight in weights]) for of in (predicted, held.score))
    x, y = predicted - at[held.variant], held.score - to[held.variant]
    spread = _mean(x * x, held.weight)
    fitted = _mean(x * y, held.weight) / spread if spread > 0.0 else 1.0
    total = float(totals.sum())
    slope = float(np.clip(1.0 + total / (total + LINE_PRIOR) * (fitted - 1.0), 0.25, 2.0))
    level = at + trust * (to - at) - slope * at
    rest = (held.score - slope * predicted - level[held.variant]) ** 2
    noise = np.array([_mean(rest, weight) if weight.any() else 0.25 for weight in weights])
    return slope, level, np.clip(noise, 1e-4, 1.0)


def _mean(values: F64, weights: F64) -> float:
    total = float(weights.sum())
    return float(weights @ values) / total if total > 0.0 else 0.0
