"""Fitting how long answers get.

An answer that ended at a limit says only that it would have been at least as long. The regression takes such a target
at its expectation beyond the limit, given the fit before, a few times over: the EM algorithm for a normal variable of
which some values are cut (Aitkin, 1981). The spread around the regression is then estimated without the normal
distribution, from rows it was not fitted on, by `censored_quantiles`. Which variant answered was chosen knowing the
same features and not the length, so no weighting by propensities is needed.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.linear_model import Ridge

from policies.estimators.artifact import Artifact
from policies.estimators.length import KIND, LOG_RANGE, QUANTILES
from policies.features.layout import GRAM_BUCKETS, GROUP_BUCKETS, SURFACE, VERSION
from policies.training.dataset import Dataset
from policies.training.design import Design, Scaling
from policies.training.survival import censored_quantiles

__all__ = ("fit",)

F64 = NDArray[np.float64]

PENALTY = 3.0
ROUNDS = 4
"""Regressions where answers were cut; one is enough where none was."""
MAX_ROWS = 30_000
"""The newest so many are fitted on: the coefficients no longer move."""
OWN_SPREAD_ROWS = 100
"""Rows from which on a variant has a spread of its own, and not that of all together."""
_OFFSET = 3.0
"""Value of a variant's indicator: its level is hardly shrunken."""
_NO_CAP = 1e6


def fit(train: Dataset, *, calibrate: Dataset, high: float = 0.95) -> Artifact:
    """Fit a `LengthModel`.

    Args:
        train: Rows for the regression, oldest first, all with features; at least one.
        calibrate: Later rows, for the spread, all with features; where there are none, those of `train` serve.
        high: Level of the upper quantile.
    """
    train = train.take(np.arange(len(train))[-MAX_ROWS:])
    names = tuple(np.unique(train.variant).tolist())
    calibrate = calibrate.take(np.isin(calibrate.variant, names))
    scaling = Scaling.of(train.features)
    weights, intercept = _regression(_matrix(train, names, scaling), np.log(_tokens(train)), cut=train.cut)
    arrays = {
        "idf": scaling.idf,
        "surface_mean": scaling.surface_mean,
        "surface_sd": scaling.surface_sd,
        **_heads(weights, intercept, k=len(names)),
        "cap_tokens": np.array([_cap(train.take(train.variant == name)) for name in names]),
    }
    held = calibrate if len(calibrate) else train
    residuals = np.log(_tokens(held)) - (_matrix(held, names, scaling) @ weights + intercept)
    arrays["spread"], arrays["high"] = _spread(residuals, held, names, high=high)
    return Artifact(
        kind=KIND,
        layout=VERSION,
        variants=names,
        arrays={name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
        facts={"rows": len(train), "high": high},
    )


def _tokens(data: Dataset) -> F64:
    return np.maximum(data.completion_tokens, 1.0)


def _matrix(data: Dataset, names: tuple[str, ...], scaling: Scaling) -> sp.csr_matrix:
    """Columns: text, surface and groups of all variants; then for each variant its surface, groups and level.

    A variant's own weights are deviations from those of all, and shrunken to them.
    """
    shared = Design.of(data.features, scaling).matrix
    own = sp.hstack([shared[:, GRAM_BUCKETS:], np.full((len(data), 1), _OFFSET, np.float32)], format="csr")
    masks = [sp.diags_array((data.variant == name).astype(np.float32)) for name in names]
    return sp.hstack([shared, *(mask @ own for mask in masks)], format="csr")


def _regression(matrix: sp.csr_matrix, target: F64, *, cut: NDArray[np.bool_]) -> tuple[F64, float]:
    """Weights and intercept of `log T`, some targets being lower bounds."""
    expected, squared = target, None
    for _ in range(ROUNDS if cut.any() else 1):
        model = Ridge(alpha=PENALTY, solver="lsqr").fit(matrix, expected)
        fitted = model.predict(matrix)
        variance = max(float(np.mean((target - fitted) ** 2 if squared is None else squared)), 1e-6)
        beyond = (target - fitted) / np.sqrt(variance)
        hazard = np.exp(norm.logpdf(beyond) - norm.logsf(beyond))
        expected = np.where(cut, fitted + np.sqrt(variance) * hazard, target)
        # E[(T - mu)^2 | T > limit] of a normal variable.
        squared = np.where(cut, variance * (1.0 + beyond * hazard), (target - fitted) ** 2)
    return model.coef_.astype(np.float64), float(model.intercept_)


def _heads(weights: F64, intercept: float, *, k: int) -> dict[str, F64]:
    s, own = len(SURFACE), len(SURFACE) + GROUP_BUCKETS
    text, shared, deviations = np.split(weights, [GRAM_BUCKETS, GRAM_BUCKETS + own])
    by_variant = deviations.reshape(k, own + 1)
    heads = (shared + by_variant[:, :own]).T
    return {"text": text, "surface": heads[:s], "groups": heads[s:], "bias": intercept + _OFFSET * by_variant[:, own]}


def _cap(rows: Dataset) -> float:
    """Where a variant itself ends answers: the longest that was cut without the caller having asked for it."""
    own = rows.cut & (rows.completion_tokens < rows.limit_tokens)
    return float(max(rows.completion_tokens[own].max(), 1.0)) if own.any() else _NO_CAP


def _spread(residuals: F64, data: Dataset, names: tuple[str, ...], *, high: float) -> tuple[F64, F64]:
    levels = np.append((np.arange(QUANTILES) + 0.5) / QUANTILES, high)
    together = censored_quantiles(residuals, cut=data.cut, levels=levels)
    rows = []
    for name in names:
        mine = data.variant == name
        enough = int((mine & ~data.cut).sum()) >= OWN_SPREAD_ROWS
        rows.append(censored_quantiles(residuals[mine], cut=data.cut[mine], levels=levels) if enough else together)
    table = np.clip(np.array(rows), -LOG_RANGE, LOG_RANGE)
    return table[:, :-1], table[:, -1]
