"""How long answers get: what the joint model of `log tokens` says, cut where an answer is ended."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ("Lengths", "at_least", "lengths")

F64 = NDArray[np.float64]

QUANTILES = 32
HIGH = 0.95
"""Level of the upper quantile."""

LOG_RANGE = 14.0
"""A million tokens."""

_NORMAL = NormalDist()
_SPREAD = np.array([_NORMAL.inv_cdf((number + 0.5) / QUANTILES) for number in range(QUANTILES)])
_HIGH = _NORMAL.inv_cdf(HIGH)


class Lengths(NamedTuple):
    """Tokens, one entry per asked variant."""

    mean: F64
    median: F64
    high: F64
    """Upper quantile."""


def lengths(mu: F64, sd: F64, *, limit_tokens: F64) -> Lengths:
    """Lengths of answers whose logarithm is normal, each ended at its limit.

    The mean of `min(T, limit)` is that over the midpoints of equal shares of the distribution.

    Args:
        mu: Mean of the logarithm; shape (n,).
        sd: Its standard deviation; shape (n,).
        limit_tokens: Shape (n,); infinite for none.
    """
    log_tokens = np.minimum(mu[:, None] + sd[:, None] * _SPREAD, LOG_RANGE)
    tokens = np.minimum(np.maximum(np.exp(log_tokens), 1.0), limit_tokens[:, None])
    median, high = np.exp(np.minimum((mu, mu + _HIGH * sd), LOG_RANGE))
    return Lengths(
        mean=tokens.sum(axis=1) / QUANTILES,
        median=np.minimum(np.maximum(median, 1.0), limit_tokens),
        high=np.minimum(np.maximum(high, 1.0), limit_tokens),
    )


def at_least(log_tokens: float, *, mu: float, sd: float) -> float:
    """Expected logarithm of a length that was cut at `log_tokens`, of which only so much was seen.

    `mu + sd * phi(a) / (1 - Phi(a))`, a the standardised cut: the mean of a truncated normal (Tobin, 1958).
    """
    a = (log_tokens - mu) / sd
    beyond = 1.0 - _NORMAL.cdf(a)
    if beyond < 1e-6:
        return log_tokens + sd / max(a, 1.0)
    return mu + sd * math.exp(-0.5 * a * a) / math.sqrt(2.0 * math.pi) / beyond
