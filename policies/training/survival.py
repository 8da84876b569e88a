"""The distribution of a quantity of which some values are only known to be at least so large."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ("censored_quantiles",)

F64 = NDArray[np.float64]


def censored_quantiles(values: F64, *, cut: NDArray[np.bool_], levels: F64) -> F64:
    """Quantiles by the product-limit estimate (Kaplan and Meier, 1958).

    Args:
        values: What was seen; shape (n,), n > 0.
        cut: Where the true value is at least the one seen; shape (n,). Whether a value is cut must not depend on it
            beyond the limit it met.
        levels: In (0, 1); shape (m,).

    Returns:
        The smallest value with at least that share below or at it; shape (m,). What lies beyond the last value that
        was seen whole is put at the largest seen: the least it can be.
    """
    order = np.lexsort((cut, values))  # Of equal values those seen whole come first: the cut ones outlived them.
    ordered, ended = values[order], ~cut[order]
    at_risk = np.arange(len(values), 0, -1)
    share = 1.0 - np.cumprod(1.0 - ended / at_risk)
    places = np.searchsorted(share, levels - 1e-12)
    quantiles: F64 = ordered[np.minimum(places, len(ordered) - 1)]
    return quantiles
