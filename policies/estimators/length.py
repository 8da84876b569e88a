"""How long an answer gets: a regression on the logarithm of its tokens, and the spread around it.

log T = mu(x, variant) + r, with mu linear in surface and groups. (On answers to GSM8K the n-grams of the text added
0.01 to an R2 of 0.2, at a third of the whole estimate's time: left out.) The spread r is no normal distribution but
the quantiles of what was seen, so that the mean of `min(T, limit)` is their mean after the limit (the smearing
estimate of Duan, 1983, cut where the answer is).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.estimators.artifact import Artifact, checked
from policies.estimators.linear import GROUP_SCALE, standardised
from policies.features.layout import GROUP_BUCKETS, SURFACE
from policies.features.types import Features

__all__ = ("KIND", "LOG_RANGE", "QUANTILES", "LengthModel", "Lengths", "lengths")

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

KIND = "length"
QUANTILES = 32
"""The spread is kept at the midpoints of so many equal shares."""

LOG_RANGE = 14.0
"""A million tokens."""


class Lengths(NamedTuple):
    """Tokens, one entry per asked variant."""

    mean: F64
    median: F64
    high: F64
    """Upper quantile."""


class LengthModel(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The arrays of one fit; k variants."""

    names: tuple[str, ...]
    surface_mean: F32
    surface_sd: F32
    """Shape (len(SURFACE),), both."""
    surface: F32
    """Shape (len(SURFACE), k)."""
    groups: F32
    """Shape (GROUP_BUCKETS, k)."""
    bias: F32
    """Shape (k,)."""
    spread: F32
    """Quantiles of r, rising; shape (k, QUANTILES)."""
    high: F32
    """Upper quantile of r; shape (k,)."""
    cap_tokens: F32
    """Where a variant itself ends an answer; shape (k,)."""

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> Self:
        """Check the arrays and keep them.

        Raises:
            ArtifactError: One is missing, misshapen or out of range.
        """
        k, s = len(artifact.variants), len(SURFACE)
        log = {"low": -LOG_RANGE, "high": LOG_RANGE}
        return cls(
            names=artifact.variants,
            surface_mean=checked(artifact, "surface_mean", shape=(s,)),
            surface_sd=checked(artifact, "surface_sd", shape=(s,), low=1e-6),
            surface=checked(artifact, "surface", shape=(s, k)),
            groups=checked(artifact, "groups", shape=(GROUP_BUCKETS, k)),
            bias=checked(artifact, "bias", shape=(k,)),
            spread=checked(artifact, "spread", shape=(k, QUANTILES), **log),
            high=checked(artifact, "high", shape=(k,), **log),
            cap_tokens=checked(artifact, "cap_tokens", shape=(k,), low=1.0, high=1e6),
        )

    def log_tokens(self, features: Features) -> F32:
        """The regression's value for one request and every variant; shape (k,)."""
        surface = standardised(features.surface, mean=self.surface_mean, sd=self.surface_sd)
        groups = self.groups.take(features.groups, axis=0).sum(axis=0)
        mu: F32 = self.bias + surface @ self.surface + GROUP_SCALE * groups
        return mu

    def predict(self, features: Features, *, variants: Sequence[int], limit_tokens: F64) -> Lengths:
        """How long the answers of some variants get.

        Args:
            features: Of the request.
            variants: Positions in `names`; n of them.
            limit_tokens: At which each answer is ended at the latest; infinite for none; shape (n,).
        """
        rows = np.asarray(variants, np.intp)
        mu = self.log_tokens(features)[rows]
        limit = np.minimum(self.cap_tokens[rows], limit_tokens)
        return lengths(mu, spread=self.spread.take(rows, axis=0), high=self.high[rows], limit_tokens=limit)


def lengths(mu: F32, *, spread: F32, high: F32, limit_tokens: F64) -> Lengths:
    """Lengths around mu, ended at the limit; shapes (n,), (n, QUANTILES), (n,) and (n,)."""
    seen = np.concatenate((spread, high[:, None]), axis=1) + mu[:, None]
    tokens = np.exp(np.minimum(seen, LOG_RANGE, dtype=np.float64))
    ended = np.minimum(np.maximum(tokens, 1.0), limit_tokens[:, None])
    middle = QUANTILES // 2
    return Lengths(
        mean=ended[:, :-1].sum(axis=1) / QUANTILES,
        median=ended[:, middle - 1 : middle + 1].sum(axis=1) / 2.0,
        high=ended[:, -1],
    )
