"""Learning from one record at a time, between full fits.

Two things are learned. How each head stands as a whole: level and slope against the fitted score, by recursive
least squares that forget, at once when the residuals say that the world has changed. So a drop of all answers of a
variant, or their halving, is followed within tens of records. And how tenants and tags differ: a Kalman filter over
the weights of the groups (Kalman, 1960; its covariance kept diagonal as in AROW, Crammer et al., 2009), in which a
record moves each weight it touches by `residual * (x / precision) / (1 + sum(x**2 / precision))`. What the text says
is left to the full fits: one record at a time, hundreds of correlated n-grams learn more noise than signal.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from policies.estimators.drift import DriftDetector
from policies.estimators.linear import GROUP_SCALE, Heads, Inputs

__all__ = ("OnlineHeads",)

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

FORGET = 0.9995
"""What a record leaves of the evidence for level and slope: a memory of about 2,000 records."""

LEAST_PRIOR = 5.0
MOST_PRIOR = 200.0
"""Records that the fitted level is worth: as many as it was fitted on, within these."""

SLOPE_PRIOR = 0.1
"""The slope's prior against the level's: a score lies within about a third of its mean."""


class OnlineHeads:
    """Fitted heads, and what was learned since. Mutable; an update touches only the groups of one request."""

    def __init__(self, heads: Heads, *, evidence: F32, membership: F32, rows: F32, penalty: float) -> None:
        """Start from a fit.

        Args:
            heads: The fitted weights, k heads.
            evidence: Sum of squared inputs of each gram over all requests of the fit; shape (GRAM_BUCKETS,).
            membership: The same of each group; shape (GROUP_BUCKETS,).
            rows: Records each head was fitted on; shape (k,).
            penalty: Ridge penalty of the fit.
        """
        self._fit, self._penalty = heads, np.float32(penalty)
        self._evidence = evidence
        self._origin = list(range(len(rows)))
        """The fitted head behind each head; several may share one."""
        self._share = rows / np.float32(max(1.0, float(rows.max(initial=0.0))))
        """Of the fit's evidence, by head."""
        self._groups = np.zeros_like(heads.groups)
        self._precision = self._penalty + np.outer(membership, self._share)
        self._levels = [_Level(prior) for prior in np.clip(rows, LEAST_PRIOR, MOST_PRIOR).tolist()]
        self.updates = 0
        """Records learned from."""
        self.alerts = 0
        """Changes noticed."""

    def scores(self, x: Inputs) -> F64:
        """One score per head; shape (k,)."""
        fitted, bias = self._fitted(x), self._fit.bias[self._origin]
        level = np.array([level.weights for level in self._levels])
        scores: F64 = fitted + level[:, 0] + level[:, 1] * (fitted - bias)
        return scores

    def variances(self, x: Inputs) -> F64:
        """Variance of each score's mean in units of the noise, correlations left out; shape (k,)."""
        # Heads by grams, and not the other way round: the long axis is the one that arithmetic is fast along.
        text = (1.0 / (self._penalty + np.multiply.outer(self._share, self._evidence.take(x.grams)))) @ x.text**2
        groups = GROUP_SCALE**2 * (1.0 / self._precision.take(x.groups, axis=0)).sum(axis=0)
        variances: F64 = text + groups + np.array([level.variance for level in self._levels])
        return variances

    def update(self, x: Inputs, head: int, target: float, *, weight: float = 1.0) -> None:
        """Learn that a head's score should have been `target`; a weight of 0.5 counts as half a record."""
        fitted = float(self._fitted(x)[head])
        if not math.isfinite(target - fitted) or not 0.0 < weight <= 1.0:
            return
        self.updates += 1
        level = self._levels[head]
        around = np.array([1.0, fitted - float(self._fit.bias[self._origin[head]])])
        residual = target - fitted - float(around @ level.weights)
        self.alerts += level.learn(around, target - fitted, residual=residual, weight=weight)
        self._correct(x, head, residual, weight=weight)

    def add(self, parent: int) -> None:
        """Append a head that starts as what another is now, and knows nothing of its own."""
        self._origin.append(self._origin[parent])
        self._share = np.append(self._share, np.float32(0.0))
        self._groups = np.column_stack((self._groups, self._groups[:, parent]))
        self._precision = np.column_stack((self._precision, np.full(len(self._precision), self._penalty)))
        self._levels.append(_Level(LEAST_PRIOR, start=self._levels[parent].weights))

    def remove(self, head: int) -> None:
        """Drop a head; those after it move up."""
        del self._origin[head], self._levels[head]
        self._share = np.delete(self._share, head)
        self._groups = np.delete(self._groups, head, axis=1)
        self._precision = np.delete(self._precision, head, axis=1)

    def _fitted(self, x: Inputs) -> F64:
        """The fit, and what was learned of groups since; shape (k,)."""
        scores: F64 = self._fit.scores(x)[self._origin] + GROUP_SCALE * self._groups.take(x.groups, axis=0).sum(
            axis=0
        )
        return scores.astype(np.float64)

    def _correct(self, x: Inputs, head: int, residual: float, *, weight: float) -> None:
        """The diagonal Kalman step over the groups that this request belongs to."""
        steps = GROUP_SCALE / self._precision[x.groups, head]
        spread = float(GROUP_SCALE * steps.sum())
        self._groups[x.groups, head] += np.float32(weight * residual / (1.0 + weight * spread)) * steps
        self._precision[x.groups, head] += np.float32(weight) * GROUP_SCALE**2


class _Level:
    """How one head stands as a whole: a constant and a slope beyond the fit."""

    def __init__(self, prior: float, *, start: F64 | None = None) -> None:
        self._start = np.zeros(2) if start is None else start.copy()
        self._prior = prior
        self._evidence = np.zeros((2, 2))
        self._moment = np.zeros(2)
        self._drift = DriftDetector()
        self.weights = self._start

    @property
    def variance(self) -> float:
        """Of the constant, in units of the noise."""
        return 1.0 / (self._prior + float(self._evidence[0, 0]))

    def learn(self, around: F64, excess: float, *, residual: float, weight: float) -> bool:
        """Take a record; whether it made the detector say that the world has changed."""
        alert = self._drift.alerts(residual)
        if alert:
            # What was known of the head as a whole, by the fit or since, is worth a few records from here on.
            self._start = self.weights
            self._prior = LEAST_PRIOR
            self._evidence[:] = 0.0
            self._moment[:] = 0.0
        self._evidence = FORGET * self._evidence + weight * np.outer(around, around)
        self._moment = FORGET * self._moment + weight * (excess - float(around @ self._start)) * around
        penalty = self._prior * np.diag([1.0, SLOPE_PRIOR])
        self.weights = self._start + np.linalg.solve(self._evidence + penalty, self._moment)
        return alert
