"""Predicted rewards for off-policy evaluation, each by a model that never saw its row.

A model fitted on the rows it is held against explains their noise too, and the doubly robust correction then corrects
too little. Fitting on the other folds takes that away (Chernozhukov et al., Double machine learning, 2018).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

__all__ = ("Regressor", "cross_fitted", "folds_of")

F64 = NDArray[np.float64]
Rows = NDArray[np.intp]

MIN_ROWS = 10
"""Rows of a variant, in the other folds, below which their mean says as much as a model."""


class Regressor(Protocol):
    """What scikit-learn's regressors are."""

    def fit(self, x: Any, y: F64, /) -> Self:  # noqa: ANN401 - dense or sparse
        """Fit on rows of x."""
        ...

    def predict(self, x: Any, /) -> F64:  # noqa: ANN401 - dense or sparse
        """One number per row of x."""
        ...


def folds_of(rows: int, *, rng: np.random.Generator, folds: int = 5) -> Rows:
    """A fold for each row, in random order and of equal sizes; shape (rows,)."""
    return rng.permutation(np.arange(rows, dtype=np.intp) % folds)


def cross_fitted(
    x: Any,  # noqa: ANN401 - dense or sparse
    *,
    actions: Rows,
    rewards: F64,
    variants: int,
    folds: Rows,
    regressor: Callable[[], Regressor] = Ridge,
) -> F64:
    """Reward of every variant on every row, by one regression per variant and fold.

    Args:
        x: What the regressions read of each row; shape (n, d), dense or sparse.
        actions: Number of the variant chosen; shape (n,).
        rewards: Its reward; shape (n,).
        variants: How many there are.
        folds: Fold of each row; shape (n,). Rows whose rewards go together, such as repetitions of one prompt, belong
            in one fold.
        regressor: Makes a fresh one; unfitted.

    Returns:
        Shape (n, variants), within the range of the other folds' rewards. A variant hardly ever chosen has the mean
        of its few rewards, shrunken to the mean of all.

    Raises:
        ValueError: All rows are in one fold.
    """
    predicted = np.empty((len(actions), variants))
    for fold in np.unique(folds):
        held = folds == fold
        if held.all():
            raise ValueError("rows must be spread over at least two folds")
        mean = float(rewards[~held].mean())
        for variant in range(variants):
            known = ~held & (actions == variant)
            if known.sum() < MIN_ROWS:
                predicted[held, variant] = (rewards[known].sum() + mean) / (known.sum() + 1)
            else:
                predicted[held, variant] = regressor().fit(x[known], rewards[known]).predict(x[held])
        predicted[held] = predicted[held].clip(rewards[~held].min(), rewards[~held].max())
    return predicted
