"""Learning when a cascade escalates: below which confidence the second variant wins most for being asked.

Let g = quality of the second answer - quality of the first. Escalating below t asks the second variant for a share
`escalates(t) = P(confidence < t)` of the requests and wins `recovers(t) = E[g; confidence < t] / E[g]` of what it is
better by. A coin would recover just what it escalates. The threshold is where the two are furthest apart: Youden's
index (1950), with gains in the place of cases.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ("LEAST_ROWS", "Threshold", "learn_threshold")

F64 = NDArray[np.float64]

LEAST_ROWS = 50
FOLDS = 5

SURE = 2.0
"""Standard errors by which anything must differ from nothing: of logs that tell nothing, 4 % pass."""


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """When to escalate, and what that is expected to do."""

    threshold: float
    """Confidence below which the first answer will not do, in [0, 1]."""
    escalates: float
    """Share of the requests below it."""
    recovers: float
    """Share of the second variant's advantage that is won back; in [0, 1]."""
    recovers_se: float
    """Standard error of what is recovered beyond what a coin would."""
    rows: int
    """Requests that both variants had answered."""


def learn_threshold(confidence: F64, quality_first: F64, quality_then: F64) -> Threshold | None:
    """The threshold for one pair of variants, from requests that both have answered.

    What it is expected to do is found by cross-validation: on the rows that a threshold was chosen on it looks better
    than it is.

    Args:
        confidence: Of the first variant's answers; shape (n,), in an order that means nothing.
        quality_first: Scores of the same answers.
        quality_then: Scores of the second variant's.

    Returns:
        None where there are too few rows, where the second variant is not better, or where the first one's confidence
        does not tell when.
    """
    n, gains = len(confidence), quality_then - quality_first
    if n < LEAST_ROWS or not gains.mean() > SURE * _standard_error(gains):
        return None
    cut = _best_cut(confidence, gains)
    escalated = np.zeros(n)
    for fold in range(FOLDS):
        held_out = np.arange(n) % FOLDS == fold
        elsewhere = _best_cut(confidence[~held_out], gains[~held_out])
        escalated[held_out] = confidence[held_out] < elsewhere
    escalates = float(escalated.mean())
    recovers = float((gains * escalated).sum() / gains.sum())
    # The delta method for a ratio of means, less a mean.
    beyond = (gains * escalated - recovers * gains) / gains.mean() - escalated
    se = _standard_error(beyond)
    if not recovers - escalates > SURE * se:
        return None
    return Threshold(threshold=cut, escalates=escalates, recovers=min(1.0, recovers), recovers_se=se, rows=n)


def _best_cut(confidence: F64, gains: F64) -> float:
    """The confidence that parts the rows best, midway between two of them; 0 where none parts them."""
    order = np.argsort(confidence, kind="stable")
    rising = confidence[order]
    below = np.flatnonzero(rising[1:] > rising[:-1]) + 1
    total = gains.sum()
    if not len(below) or not total > 0.0:
        return 0.0
    recovers = np.cumsum(gains[order])[below - 1] / total
    best = below[np.argmax(recovers - below / len(rising))]
    return float(rising[best - 1] + rising[best]) / 2.0


def _standard_error(values: F64) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values))
