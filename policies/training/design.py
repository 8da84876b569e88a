"""Features of many requests as one sparse matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from policies.features.layout import GRAM_BUCKETS, GROUP_BUCKETS, SURFACE
from policies.features.types import Features
from policies.learner.basis import SURFACE_CLIP

__all__ = ("Design", "Scaling", "named_columns", "surface_scale", "text_matrix")

GROUP_SCALE = np.float32(0.5)
"""Value of a group's indicator: how freely its mean may leave the others', against the text's length of 1."""

SURFACE_SCALE = np.float32(0.25)
"""Value of one standard deviation of a surface feature."""

_LEAST_SD = 1e-3


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """What is learned of the features without any label."""

    idf: NDArray[np.float32]
    """`log((1 + n) / (1 + df)) + 1`, as scikit-learn's smoothed IDF."""
    surface_mean: NDArray[np.float32]
    surface_sd: NDArray[np.float32]

    @classmethod
    def of(cls, features: Sequence[Features]) -> Scaling:
        """Learn it; of no features at all it is neutral."""
        df = np.bincount(_joined([f.grams for f in features]), minlength=GRAM_BUCKETS)
        mean, sd = surface_scale(features)
        return cls(
            idf=(np.log((1 + len(features)) / (1 + df)) + 1).astype(np.float32), surface_mean=mean, surface_sd=sd
        )


def surface_scale(features: Sequence[Features]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each surface feature; 0 and 1 of no features at all."""
    if not features:
        return np.zeros(len(SURFACE), np.float32), np.ones(len(SURFACE), np.float32)
    surface = np.array([f.surface for f in features], np.float32)
    return surface.mean(axis=0), np.maximum(surface.std(axis=0), _LEAST_SD)


@dataclass(frozen=True, kw_only=True)
class Design:
    """The matrix of some requests; columns are grams, surface, groups."""

    matrix: sp.csr_matrix
    """Shape (n_requests, n_columns), float32."""
    scaling: Scaling

    @classmethod
    def of(cls, features: Sequence[Features], scaling: Scaling) -> Design:
        """Weigh and stack the features."""
        named = named_columns(features, surface_mean=scaling.surface_mean, surface_sd=scaling.surface_sd)
        stacked = sp.hstack([text_matrix(features, scaling), named], format="csr")
        return cls(matrix=stacked.astype(np.float32), scaling=scaling)


def named_columns(
    features: Sequence[Features], *, surface_mean: NDArray[np.float32], surface_sd: NDArray[np.float32]
) -> sp.csr_matrix:
    """Surface and groups alone, without the text; shape (n_requests, len(SURFACE) + GROUP_BUCKETS)."""
    surface = np.array([f.surface for f in features], np.float32).reshape(len(features), len(SURFACE))
    z = SURFACE_SCALE * np.clip((surface - surface_mean) / surface_sd, -SURFACE_CLIP, SURFACE_CLIP)
    groups = _csr([f.groups for f in features], None, width=GROUP_BUCKETS) * GROUP_SCALE
    return sp.hstack([sp.csr_matrix(z), groups], format="csr")


def text_matrix(features: Sequence[Features], scaling: Scaling) -> sp.csr_matrix:
    """TF-IDF of each text, of unit length; shape (n_requests, GRAM_BUCKETS)."""
    counts = _joined([f.counts for f in features], np.float32)
    grams = [f.grams for f in features]
    weights = (1.0 + np.log(counts)) * scaling.idf[_joined(grams)]
    matrix = _csr(grams, weights.astype(np.float32), width=GRAM_BUCKETS)
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix.data /= np.repeat(np.maximum(lengths, 1e-12), np.diff(matrix.indptr)).astype(np.float32)
    return matrix


def _csr(indices: Sequence[NDArray[np.uint16]], values: NDArray[np.float32] | None, *, width: int) -> sp.csr_matrix:
    columns = _joined(indices)
    starts = np.concatenate(([0], np.cumsum([len(row) for row in indices], dtype=np.int64)))
    data = np.ones(len(columns), np.float32) if values is None else values
    return sp.csr_matrix((data, columns, starts), shape=(len(indices), width))


def _joined(arrays: Sequence[NDArray[np.generic]], dtype: type[np.generic] = np.int32) -> NDArray[np.generic]:
    return np.concatenate(arrays).astype(dtype) if len(arrays) else np.zeros(0, dtype)
