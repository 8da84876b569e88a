"""Fitting how long answers take: quantile regressions on the card's parts, shrunken to the card.

Errors count relative to the card's estimate, so that a variant that sometimes starts cold is not fitted to those
seconds alone. Every weight is drawn to what is known with fewer rows: a variant's to that of all variants together,
and that to the card's, by `n / (n + 50)` with n the rows in which its term occurs at all. The upper quantile of the
whole latency is calibrated on later rows as conformal prediction does (Romano, Patterson and Candes, 2019).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import QuantileRegressor

from policies.estimators.artifact import Artifact
from policies.estimators.latency import CARD_TPOT, CARD_TTFT, KIND, tpot_terms, ttft_terms
from policies.estimators.times import parts
from policies.features.layout import VERSION
from policies.training.dataset import Dataset, candidate_then
from policies.types import Candidate

__all__ = ("fit", "latency_parts", "refitted", "restricted", "with_stretch")

F64 = NDArray[np.float64]

MAX_ROWS = 2_000
"""The newest so many of a variant: the linear programme takes the square of it, and traffic changes."""
HALFWAY_ROWS = 50
"""Rows at which a weight lies midway between what they say and what was known before."""


def latency_parts(data: Dataset, candidates: Mapping[str, Candidate]) -> F64:
    """The parts of every row's times, by the variant's load then and its profile now; shape (6, n)."""
    found = [
        parts(candidate_then(sample, candidates[sample.variant]), prompt_tokens=sample.prompt_tokens)
        for sample in data.samples
    ]
    return np.array(found, np.float64).reshape(len(data), 6).T


def fit(train: Dataset, *, candidates: Mapping[str, Candidate], high: float = 0.95) -> Artifact:
    """Fit a `LatencyModel`; its `stretch` is 1 until `with_stretch`.

    Args:
        train: Rows, oldest first, all of variants in `candidates`; at least one.
        candidates: Variants as they are now.
        high: Level of the upper quantile.
    """
    names = tuple(np.unique(train.variant).tolist())
    table = latency_parts(train, candidates)
    arrays: dict[str, F64] = {"stretch": np.ones(len(names))}
    for name, terms, seen, card in (
        ("ttft", ttft_terms(table), train.ttft_s, CARD_TTFT),
        ("tpot", tpot_terms(table, train.prompt_tokens), train.tpot_s, CARD_TPOT),
    ):
        known = np.isfinite(seen)
        x, y, variant = terms.T[known], seen[known], train.variant[known]
        arrays[name] = np.stack([_by_variant(x, y, variant, names, card, level=level) for level in (0.5, high)])
    return Artifact(
        kind=KIND,
        layout=VERSION,
        variants=names,
        arrays={name: array.astype(np.float32) for name, array in arrays.items()},
        facts={"rows": len(train), "high": high},
    )


def with_stretch(artifact: Artifact, *, high_s: F64, data: Dataset) -> Artifact:
    """The fit with its upper latency quantile calibrated.

    Args:
        artifact: From `fit`.
        high_s: The upper quantile it predicts for each row; shape (n,).
        data: Rows it was not fitted on.
    """
    level = float(artifact.facts["high"] or 0.95)
    ratio = data.latency_s / np.maximum(high_s, 1e-6)
    stretch = [_conformal(ratio[data.variant == name], level=level) for name in artifact.variants]
    arrays = artifact.arrays | {"stretch": np.clip(np.array(stretch, np.float32), 0.02, 50.0)}
    return Artifact(
        kind=artifact.kind, layout=artifact.layout, variants=artifact.variants, arrays=arrays, facts=artifact.facts
    )


def restricted(artifact: Artifact, names: Collection[str]) -> Artifact | None:
    """The fit for some of its variants only; None for none of them."""
    rows = [row for row, name in enumerate(artifact.variants) if name in names]
    if not rows:
        return None
    kept = tuple(artifact.variants[row] for row in rows)
    arrays = {name: array.take(rows, axis=-1) for name, array in artifact.arrays.items()}
    return msgspec.structs.replace(artifact, variants=kept, arrays=arrays)


def refitted(judged: Artifact, data: Dataset, *, candidates: Mapping[str, Candidate]) -> Artifact:
    """A fit that passed its test, made again on all rows, for the variants that it was made for.

    Args:
        judged: From `fit` and `with_stretch`. The calibration of its upper quantile stays: on rows that a fit has
            seen it would be too narrow.
        data: All rows whose times tell.
        candidates: Variants as they are now.
    """
    rows = data.take(np.isin(data.variant, np.array(judged.variants)))
    whole = fit(rows, candidates=candidates, high=float(judged.facts["high"] or 0.95))
    stretch = dict(zip(judged.variants, judged.arrays["stretch"].tolist(), strict=True))
    calibrated = np.array([stretch[name] for name in whole.variants], np.float32)
    return msgspec.structs.replace(whole, arrays=whole.arrays | {"stretch": calibrated})


def _conformal(ratio: F64, *, level: float) -> float:
    """The ratio that a further row exceeds with a probability of at most `1 - level`; 1 for too few rows to tell."""
    rank = int(np.ceil(level * (len(ratio) + 1)))
    return float(np.sort(ratio)[rank - 1]) if 0 < rank <= len(ratio) else 1.0


def _by_variant(
    x: F64, y: F64, variant: NDArray[np.str_], names: tuple[str, ...], card: tuple[float, ...], *, level: float
) -> F64:
    """Weights of each variant; shape (n_terms, k)."""
    together = _shrunken(x, y, np.array(card), card=card, level=level)
    rows = [_shrunken(x[variant == name], y[variant == name], together, card=card, level=level) for name in names]
    return np.array(rows).T


def _shrunken(x: F64, y: F64, known: F64, *, card: tuple[float, ...], level: float) -> F64:
    """Weights between those fitted to some rows and those known before them."""
    x, y = x[-MAX_ROWS:], y[-MAX_ROWS:]
    rows = np.count_nonzero(x, axis=0)
    if not len(x):
        return known
    scale = np.maximum(x @ np.array(card), 1e-6)
    fitted = _weights(x / scale[:, None], y / scale, level=level)
    trust = rows / (rows + HALFWAY_ROWS)
    weights: F64 = trust * fitted + (1.0 - trust) * known
    return np.clip(weights, 0.0, 1e3)


def _weights(x: F64, y: F64, *, level: float) -> F64:
    """Quantile regression with weights of at least 0: terms that would get less are left out, until none would."""
    weights = np.zeros(x.shape[1])
    kept = np.flatnonzero(x.any(axis=0))
    while len(kept):
        model = QuantileRegressor(quantile=level, alpha=0.0, fit_intercept=False).fit(x[:, kept], y)
        if (model.coef_ >= 0.0).all():
            weights[kept] = model.coef_
            break
        kept = kept[model.coef_ >= 0.0]
    return weights
