"""How wrong predictions are: proper scores, one number per row where they are compared, summed up where reported.

Each is least, in the mean, for who says the truth: the squared error for a probability, the Poisson deviance for a
mean of counts, the pinball loss for a quantile.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from policies.training.dataset import Dataset
from policies.training.predict import Predictions

__all__ = (
    "calibration_error",
    "pinball",
    "quality_scores",
    "quantile_scores",
    "time_losses",
    "token_scores",
    "usable",
)

F64 = NDArray[np.float64]

_LEAST = 1e-6
_BINS = 10


def time_losses(predictions: Predictions, data: Dataset, *, high: float) -> F64:
    """What predictions of times are judged by, for each row that is `usable`; shape (n,).

    The pinball losses of both quantiles of the latency, and of the time to first token where there is one.
    """
    p = predictions
    whole = pinball(data.latency_s, p.latency_s, level=0.5) + pinball(data.latency_s, p.latency_high_s, level=high)
    first = pinball(data.ttft_s, p.ttft_s, level=0.5) + pinball(data.ttft_s, p.ttft_high_s, level=high)
    return whole + np.nan_to_num(first)


def usable(target: str, data: Dataset) -> NDArray[np.bool_]:
    """Which rows say anything about `quality`, `length`, `ttft` or `latency`; shape (n,)."""
    if target == "quality":
        return data.described & (data.quality_weight > 0.0)
    if target == "length":
        return data.described
    return np.isfinite(data.ttft_s if target == "ttft" else data.latency_s)


def pinball(seen: F64, said: F64, *, level: float) -> F64:
    """`level * (seen - said)` where too little was said, `(1 - level) * (said - seen)` where too much."""
    return np.maximum(level * (seen - said), (level - 1.0) * (seen - said))


def quality_scores(said: F64, data: Dataset) -> dict[str, float | None]:
    """AUC, Brier score, logarithmic loss and calibration error; an answer counts as good from 0.5 on for the AUC."""
    seen, weight = data.quality, data.quality_weight
    good = seen >= 0.5
    p = np.clip(said, _LEAST, 1.0 - _LEAST)
    two = bool(good.any() and not good.all())
    return {
        "auc": float(roc_auc_score(good, said, sample_weight=weight)) if two else None,
        "brier": float(np.average((said - seen) ** 2, weights=weight)),
        "log_loss": float(-np.average(seen * np.log(p) + (1.0 - seen) * np.log(1.0 - p), weights=weight)),
        "calibration_error": calibration_error(said, seen, weight),
    }


def calibration_error(said: F64, seen: F64, weight: F64) -> float:
    """Mean distance of what was said from what came of it, over ten bins of as many rows each."""
    bins = np.array_split(np.argsort(said, kind="stable"), min(_BINS, len(said)))
    gaps = [abs(float(np.sum(weight[rows] * (said[rows] - seen[rows])))) for rows in bins]
    return sum(gaps) / float(weight.sum())


def token_scores(said: F64, data: Dataset) -> dict[str, float | None]:
    """Poisson deviance, mean absolute error in tokens, and all tokens said over all tokens seen."""
    seen = np.maximum(data.completion_tokens, 1.0)
    return {
        "deviance": float(_deviance(seen, said).mean()),
        "absolute_error": float(np.abs(seen - said).mean()),
        "ratio": float(said.sum() / seen.sum()),
    }


def quantile_scores(seen: F64, median: F64, upper: F64, *, high: float) -> dict[str, float | None]:
    """Pinball loss of both quantiles, and the share of rows at or below each."""
    return {
        "pinball_50": float(pinball(seen, median, level=0.5).mean()),
        "pinball_high": float(pinball(seen, upper, level=high).mean()),
        "coverage_50": float((seen <= median).mean()),
        "coverage_high": float((seen <= upper).mean()),
    }


def _deviance(seen: F64, said: F64) -> F64:
    mean = np.maximum(said, _LEAST)
    return 2.0 * (seen * np.log(seen / mean) - (seen - mean))
