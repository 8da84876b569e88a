"""What is kept of a fit: all of it or nothing, by how it does on requests it has not seen against what is there.

Estimates of variants are compared with each other when one is chosen. So a fit is not used for the variants alone
for which it happens to look good: it is used for every variant for which it is not found worse, if those together are
better for it.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.estimators.artifact import Artifact

__all__ = ("ALL", "Comparison", "compare", "restricted")

F64 = NDArray[np.float64]

ALL = "all"
"""Every variant together."""

LEAST_ROWS = 10
"""Held-out rows of a variant below which nothing can be said."""

_SHARED = frozenset({"idf", "surface_mean", "surface_sd", "evidence", "membership", "penalty"})
_LAST = frozenset({"text", "surface", "groups", "ttft", "tpot"})
"""Arrays that all variants share, and those whose last axis is the variants'; of all others it is the first."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Of one kind of estimator, for one variant or all: is the fit better on held-out rows?"""

    kind: str
    variant: str
    """Or `ALL`."""
    n: int
    """Rows."""
    gain: float
    """Mean loss of what is there, minus that of the fit, as a share of the former."""
    gain_se: float
    """Standard error of the gain, the rows being compared in pairs."""

    @property
    def better(self) -> bool:
        """By more than one standard error: of fits that are no better, five in six are turned away."""
        return self.n >= LEAST_ROWS and self.gain > self.gain_se

    @property
    def tolerable(self) -> bool:
        """Not worse by more than one standard error, on enough rows to tell."""
        return self.n >= LEAST_ROWS and self.gain > -self.gain_se


def compare(kind: str, variant: str, *, before: F64, after: F64, weight: F64 | None = None) -> Comparison:
    """Hold two series of losses on the same rows against each other.

    Args:
        kind: Of the estimator.
        variant: That answered the rows.
        before: Losses of what is there; shape (n,).
        after: Losses of the fit; shape (n,).
        weight: How much each row counts; 1 when absent.
    """
    weight = np.ones(len(before)) if weight is None else weight
    if not len(before):
        return Comparison(kind=kind, variant=variant, n=0, gain=0.0, gain_se=0.0)
    share = weight / weight.sum()
    scale = max(float(share @ before), 1e-12)
    gains = (before - after) / scale
    gain = float(share @ gains)
    se = float(np.sqrt(np.sum(share**2 * (gains - gain) ** 2)))
    return Comparison(kind=kind, variant=variant, n=len(before), gain=gain, gain_se=se)


def restricted(artifact: Artifact, names: Collection[str]) -> Artifact | None:
    """The artifact for some of its variants only; None for none of them."""
    rows = [row for row, name in enumerate(artifact.variants) if name in names]
    if not rows:
        return None
    arrays = {
        name: array if name in _SHARED else array.take(rows, axis=-1 if name in _LAST else 0)
        for name, array in artifact.arrays.items()
    }
    kept = tuple(artifact.variants[row] for row in rows)
    return msgspec.structs.replace(artifact, variants=kept, arrays=arrays)
