"""Ridge regression on a sparse design, as plain arrays."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

__all__ = ("ridge",)

F64 = NDArray[np.float64]


def ridge(matrix: sp.csr_matrix, target: F64, *, penalty: float, weight: F64 | None = None) -> tuple[F64, float]:
    """Weights and intercept; the intercept is not penalised.

    Args:
        matrix: Shape (n, n_columns), n at least 1.
        target: Shape (n,).
        penalty: Added to the diagonal of the normal equations.
        weight: How many rows each counts as, 1 when absent; shape (n,).
    """
    model = Ridge(alpha=penalty, solver="sparse_cg", tol=1e-4).fit(matrix, target, sample_weight=weight)
    return model.coef_.astype(np.float64), float(model.intercept_)
