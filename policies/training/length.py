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
from policies.features.layout import GROUP_BUCKETS, SURFACE, VERSION
from policies.training.dataset import Dataset
from policies.training.design import named_columns, surface_scale
from policies.training.survival import censored_quantiles

__all__ = ("design_matrix", "fit")

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

PENALTY = 3.0
ROUNDS = 4
"""Regressions where answers were cut; one is enough where none was."""
OWN_SPREAD_ROWS = 100
"""Rows from which on a variant has a spread of its own, and not that of all together."""
_OWN = 0.4
"""Scale of a variant's own columns: what one alone has shown is put down to all first."""
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
    names = tuple(np.unique(train.variant).tolist())
    calibrate = calibrate.take(np.isin(calibrate.variant, names))
    mean, sd = surface_scale(train.features)
    weights, intercept = _regression(
        design_matrix(train, names, mean=mean, sd=sd), np.log(_tokens(train)), cut=train.cut
    )
    arrays = {
        "surface_mean": mean,
        "surface_sd": sd,
        **_heads(weights, intercept, k=len(names)),
        "cap_tokens": np.array([_cap(train.take(train.variant == name)) for name in names]),
    }
    held = calibrate if len(calibrate) else train
    residuals = np.log(_tokens(held)) - (design_matrix(held, names, mean=mean, sd=sd) @ weights + intercept)
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


def design_matrix(data: Dataset, names: tuple[str, ...], *, mean: F32, sd: F32) -> sp.csr_matrix:
    """Columns: surface and groups of all variants together; then for each variant the same and its level.

    A variant's own weights are deviations from those of all, and shrunken to them.
    """
    shared = named_columns(data.features, surface_mean=mean, surface_sd=sd)
    own = sp.hstack([_OWN * shared, np.full((len(data), 1), _OFFSET, np.float32)], format="csr")
    masks = [sp.diags_array((data.variant == name).astype(np.float32)) for name in names]
    return sp.hstack([shared, *(mask @ own for mask in masks)], format="csr")


def _regression(matrix: sp.csr_matrix, target: F64, *, cut: NDArray[np.bool_]) -> tuple[F64, float]:
    """Weights and intercept of `log T`, some targets being lower bounds."""
    expected, squared = target, None
    for _ in range(ROUNDS if cut.any() else 1):
        model = Ridge(alpha=PENALTY, solver="lsqr", tol=1e-6).fit(matrix, expected)
        fitted = model.predict(matrix)
        variance = max(float(np.mean((target - fitted) ** 2 if squared is None else squared)), 1e-6)
        beyond = (target - fitted) / np.sqrt(variance)
        hazard = np.exp(norm.logpdf(beyond) - norm.logsf(beyond))
        expected = np.where(cut, fitted + np.sqrt(variance) * hazard, target)
        # E[(T - mu)^2 | T > limit] of a normal variable.
        squared = np.where(cut, variance * (1.0 + beyond * hazard), (target - fitted) ** 2)
    return model.coef_.astype(np.float64), float(model.intercept_)


def _heads(weights: F64, intercept: float, *, k: int) -> dict[str, F64]:
    s, columns = len(SURFACE), len(SURFACE) + GROUP_BUCKETS
    shared, deviations = np.split(weights, [columns])
    by_variant = deviations.reshape(k, columns + 1)
    heads = (shared + _OWN * by_variant[:, :columns]).T
    return {"surface": heads[:s], "groups": heads[s:], "bias": intercept + _OFFSET * by_variant[:, columns]}


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
