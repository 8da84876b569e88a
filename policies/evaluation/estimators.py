"""What the target policy would have earned, estimated from the choices of another one.

Let w = pi(a|x) / p(a|x) be a row's weight and q the model's prediction. With q = 0 the doubly robust estimate is
IPS, with all weights 0 the direct method, with the large weights 0 SWITCH-DR: one formula for four of the five.

    IPS        mean(w r)                                     Horvitz and Thompson, 1952
    SNIPS      sum(w r) / sum(w)                             Swaminathan and Joachims, 2015
    DM         mean(sum_a pi(a|x) q(x, a))
    DR         DM + mean(w (r - q(x, a)))                    Dudik, Langford and Li, 2011
    SWITCH-DR  DM + mean(w [w <= threshold] (r - q(x, a)))   Wang, Agarwal and Dudik, 2017

IPS and DR are unbiased where p is right and positive wherever pi is. SNIPS is biased by O(1/n) but cannot leave the
range of the rewards. DM is as biased as its model. SWITCH-DR takes the model's bias for the rows it gives up.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.evaluation.logged import LoggedBatch

__all__ = ("SWITCH_THRESHOLD", "Method", "ValueEstimate", "dm", "dr", "ips", "logged_value", "snips", "switch_dr")

F64 = NDArray[np.float64]

SWITCH_THRESHOLD = 10.0
"""Weight above which SWITCH-DR trusts the model instead of the row."""


class Method(StrEnum):
    """The estimators by their usual names."""

    LOGGED = "logged"
    """Mean reward of the log itself: the value of the policy that wrote it."""
    IPS = "ips"
    SNIPS = "snips"
    DM = "dm"
    DR = "dr"
    SWITCH_DR = "switch_dr"


class ValueEstimate(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """An estimate as a ratio of two sums over the rows, from which all intervals follow."""

    method: Method
    numerators: F64
    """Shape (n,)."""
    denominators: F64
    """Shape (n,); all 1 where the estimate is a mean."""

    @property
    def value(self) -> float:
        """The estimate."""
        return float(self.numerators.sum() / self.denominators.sum())

    @property
    def influence(self) -> F64:
        """What each row moves the estimate by, times n; mean 0, shape (n,). First order where it is a ratio."""
        moved: F64 = (self.numerators - self.value * self.denominators) / self.denominators.mean()
        return moved

    @property
    def contributions(self) -> F64:
        """Each row's share: the value plus its influence; shape (n,), and their mean is the value."""
        return self.value + self.influence

    @property
    def standard_error(self) -> float:
        """Of the value, by its influence; infinite with a single row."""
        n = len(self.numerators)
        return float(self.influence.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf


def logged_value(batch: LoggedBatch) -> ValueEstimate:
    """Mean reward of the choices as they were made."""
    return _mean(Method.LOGGED, batch.rewards)


def ips(batch: LoggedBatch) -> ValueEstimate:
    """Inverse propensity scoring."""
    return _mean(Method.IPS, batch.weights * batch.rewards)


def snips(batch: LoggedBatch) -> ValueEstimate:
    """IPS normalised by the sum of its weights.

    Raises:
        ValueError: No row has weight: the target makes none of the logged choices.
    """
    weights = batch.weights
    if not weights.any():
        raise ValueError("no logged choice has positive probability in the target policy")
    return ValueEstimate(method=Method.SNIPS, numerators=weights * batch.rewards, denominators=weights)


def dm(batch: LoggedBatch) -> ValueEstimate:
    """The direct method: what the model says.

    Raises:
        ValueError: The batch has no predictions.
    """
    return _corrected(Method.DM, batch, np.zeros(len(batch)))


def dr(batch: LoggedBatch) -> ValueEstimate:
    """Doubly robust: the model, corrected by what it got wrong on the rows.

    Raises:
        ValueError: The batch has no predictions.
    """
    return _corrected(Method.DR, batch, batch.weights)


def switch_dr(batch: LoggedBatch, *, threshold: float = SWITCH_THRESHOLD) -> ValueEstimate:
    """Doubly robust, but without the correction of rows whose weight is above the threshold.

    Raises:
        ValueError: The batch has no predictions.
    """
    weights = batch.weights
    return _corrected(Method.SWITCH_DR, batch, np.where(weights <= threshold, weights, 0.0))


def _corrected(method: Method, batch: LoggedBatch, weights: F64) -> ValueEstimate:
    if batch.predicted is None:
        raise ValueError(f"{method} needs predicted rewards")
    expected = (batch.target * batch.predicted).sum(axis=1)
    return _mean(method, expected + weights * (batch.rewards - batch.chosen(batch.predicted)))


def _mean(method: Method, terms: F64) -> ValueEstimate:
    return ValueEstimate(method=method, numerators=terms, denominators=np.ones(len(terms)))
