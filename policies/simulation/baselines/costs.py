"""What an answer will cost, from a request's features: a ridge regression on its logarithm for each arm."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from policies.simulation.queries import Labelled
from policies.training.ridge import ridge

__all__ = ("CostModel",)

F64 = NDArray[np.float64]

_LEAST_USD = 1e-9


class CostModel:
    """Log-linear costs; the mean is restored by the mean of the exponentiated residuals (Duan, 1983)."""

    def __init__(self, matrix: sp.csr_matrix, rows: Labelled, *, penalty: float = 3.0) -> None:
        """Fit; an arm without any revealed row gets the mean cost of the others."""
        k = len(rows.arms)
        self._weights, self._level = np.zeros((matrix.shape[1], k)), np.zeros(k)
        for arm in range(k):
            known = rows.revealed(arm)
            target = np.log(np.maximum(rows.cost_usd[known, arm], _LEAST_USD))
            if len(target):
                weights, level = ridge(matrix[known], target, penalty=penalty)
                smear = np.log(np.mean(np.exp(target - matrix[known] @ weights - level)))
                self._weights[:, arm], self._level[arm] = weights, level + smear
            else:
                self._level[arm] = np.log(max(_LEAST_USD, float(np.nanmean(rows.cost_usd))))

    def predict(self, matrix: sp.csr_matrix) -> F64:
        """Dollars; shape (n, k)."""
        predicted: F64 = np.exp(matrix @ self._weights + self._level)
        return predicted
