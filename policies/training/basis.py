"""Fits the basis of the joint model: columns of groups, scales of surface features, directions of texts.

No label is needed. The text's directions are a truncated SVD of the TF-IDF of distinct prompts (latent semantic
analysis; Deerwester et al., 1990), by scikit-learn's randomised solver.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from policies.features.layout import GRAM_BUCKETS, GROUP_BUCKETS
from policies.features.types import Features
from policies.learner.basis import GROUPS, Basis
from policies.training.design import Scaling, text_matrix

__all__ = ("fit_basis", "text_size")

F32 = NDArray[np.float32]

KEPT_GRAMS = 16_384
"""Gram buckets with a direction, those that weigh most: what an artifact has room for."""

MOST_PROMPTS = 5_000
"""Latest distinct prompts that the directions are taken from."""


def text_size(prompts: int) -> int:
    """Directions of the text that so many distinct prompts are worth."""
    return 0 if prompts < 20 else 32 if prompts < 200 else 64


def fit_basis(features: Sequence[Features], *, seed: int = 0, directions: int | None = None) -> Basis:
    """A basis for requests like these, oldest first.

    Args:
        features: Of each request, at least one.
        seed: Of the SVD.
        directions: Of the text; by the number of distinct prompts when absent.
    """
    distinct = list({f.grams.tobytes(): f for f in features}.values())[-MOST_PROMPTS:]
    scaling = Scaling.of(distinct)
    wanted = text_size(len(distinct)) if directions is None else directions
    row, projection = _directions(text_matrix(distinct, scaling), min(wanted, max(0, len(distinct) - 1)), seed=seed)
    return Basis(
        surface_mean=scaling.surface_mean,
        surface_sd=scaling.surface_sd,
        idf=scaling.idf,
        row=row,
        projection=projection,
        groups=_group_columns(features),
    )


def _directions(matrix: sp.csr_matrix, d: int, *, seed: int) -> tuple[NDArray[np.int32], F32]:
    """Row of each gram bucket, and the rows; the last one is of zeros."""
    row = np.zeros(GRAM_BUCKETS, np.int32)
    used = np.flatnonzero(np.diff(matrix.tocsc().indptr))
    d = min(d, len(used))
    if d < 1:
        return row, np.zeros((1, d), np.float32)
    _, _, components = randomized_svd(matrix[:, used], n_components=d, random_state=seed)
    weight = (components**2).sum(axis=0)
    kept = np.sort(np.argsort(-weight)[:KEPT_GRAMS])
    row[:] = len(kept)
    row[used[kept]] = np.arange(len(kept))
    projection = np.zeros((len(kept) + 1, d), np.float32)
    projection[:-1] = components[:, kept].T
    return row, projection


def _group_columns(features: Sequence[Features]) -> NDArray[np.int32]:
    """A column for each of the commonest groups that tell requests apart."""
    counts = np.bincount(np.concatenate([f.groups for f in features]).astype(np.int64), minlength=GROUP_BUCKETS)
    telling = np.where(counts < len(features), counts, 0)
    common = np.argsort(-telling, kind="stable")[:GROUPS]
    columns = np.full(GROUP_BUCKETS, -1, np.int32)
    common = common[telling[common] > 0]
    columns[common] = np.arange(len(common))
    return columns
