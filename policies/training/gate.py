"""Whether a fit does better on requests it has not seen than what is in force: the figures behind a promotion."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ("ALL", "Comparison", "compare", "paired")

F64 = NDArray[np.float64]

ALL = "all"
"""Every variant together."""

LOSS = "loss"

LEAST_ROWS = 10
"""Held-out rows below which nothing can be said."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a new fit against that of what is in force, on the same held-out rows."""

    kind: str
    """Of the estimator."""
    figure: str
    """`squared error` of predicted qualities, `decision value` of choices by them, or `loss` of predicted times."""
    variant: str = ALL
    """Whose rows are compared on; or `ALL`."""
    n: int
    """Rows."""
    gain: float
    """Positive where the new fit is better; of a loss as a share of that of what is in force."""
    gain_se: float
    """Standard error of the gain, the rows being compared in pairs."""

    @property
    def better(self) -> bool:
        """By more than one standard error: of fits that are no better, five in six are turned away."""
        return self.n >= LEAST_ROWS and self.gain > self.gain_se

    @property
    def worse(self) -> bool:
        """By more than one standard error, on enough rows to tell."""
        return self.n >= LEAST_ROWS and self.gain < -self.gain_se


def compare(kind: str, variant: str, *, before: F64, after: F64) -> Comparison:
    """Hold two series of losses on the same rows against each other.

    Args:
        kind: Of the estimator.
        variant: That answered the rows, or `ALL`.
        before: Losses of what is in force; shape (n,).
        after: Losses of the new fit; shape (n,).
    """
    scale = max(float(before.mean()), 1e-12) if len(before) else 1.0
    return paired((before - after) / scale, kind=kind, figure=LOSS, variant=variant)


def paired(gains: F64, *, kind: str, figure: str, variant: str = ALL, weight: F64 | None = None) -> Comparison:
    """The mean of some gains and its standard error; shape (n,).

    Args:
        gains: One per row.
        kind: Of the estimator.
        figure: What is gained.
        variant: That answered the rows, or `ALL`.
        weight: How much each row counts; as much as any other when absent.
    """
    if not len(gains):
        return Comparison(kind=kind, figure=figure, variant=variant, n=0, gain=0.0, gain_se=0.0)
    weight = np.ones(len(gains)) if weight is None else weight
    share = weight / weight.sum()
    gain = float(share @ gains)
    se = float(np.sqrt(np.sum(share**2 * (gains - gain) ** 2)))
    return Comparison(kind=kind, figure=figure, variant=variant, n=len(gains), gain=gain, gain_se=se)
