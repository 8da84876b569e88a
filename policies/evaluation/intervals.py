"""How sure an estimate is: two intervals that measure and one that promises.

- `student`: the estimate and its influence function, with as many degrees of freedom as the spread of the terms is
  known with (Satterthwaite, 1946). For terms on both sides of zero, as those of DR are.
- `bootstrap`: studentised (Hall, 1988): resamples `(v* - v) / se*` instead of assuming its distribution. For terms
  that a few large weights pull to one side, as those of IPS and SNIPS are.
- `empirical_bernstein`: holds for any number of rows and any distribution in a known range (Maurer and Pontil, 2009,
  theorem 4), and so is much wider.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from policies.evaluation.estimators import ValueEstimate
from policies.evaluation.interval import Interval

__all__ = ("Interval", "bootstrap", "empirical_bernstein", "student")

F64 = NDArray[np.float64]

CELLS_PER_CHUNK = 2_000_000
"""Rows times resamples held at once: 16 MB."""

_SUMS = 5


def student(estimate: ValueEstimate, *, confidence: float = 0.95) -> Interval:
    """Value plus and minus Student's quantile times the standard error; infinite with a single row.

    Where few rows carry the variance, the standard error is itself uncertain. With u the influence, the variance has
    the relative variance `sum u^4 / (sum u^2)^2 - 1 / n`; the degrees of freedom are two over that, n - 1 at most.
    """
    squares = estimate.influence**2
    n, total = len(squares), float(squares.sum())
    if n == 1 or total == 0.0:
        margin = math.inf if n == 1 else 0.0
    else:
        unsure = float(((squares / total) ** 2).sum()) - 1.0 / n
        freedom = min(n - 1.0, 2.0 / unsure) if unsure > 0.0 else n - 1.0
        margin = float(stdtrit(freedom, (1.0 + confidence) / 2.0)) * estimate.standard_error
    return Interval(low=estimate.value - margin, high=estimate.value + margin)


def bootstrap(
    estimates: Sequence[ValueEstimate], *, rng: np.random.Generator, confidence: float = 0.95, resamples: int = 1000
) -> list[Interval]:
    """Studentised bootstrap of estimates over the same rows, which share their resamples.

    Args:
        estimates: Estimates of the same n rows.
        rng: Source of the resamples.
        confidence: Probability that an interval covers the truth, in (0, 1).
        resamples: How many; 1,000 hold the tails of a 95 % interval steady.
    """
    moments = np.concatenate([_moments(estimate) for estimate in estimates], axis=1)
    rows = len(moments)
    size = max(1, CELLS_PER_CHUNK // rows)
    pivots = [_pivots(_counts(rng, rows, min(size, resamples - done)), moments) for done in range(0, resamples, size)]
    tails = [(1.0 + confidence) / 2.0, (1.0 - confidence) / 2.0]
    return [
        _turned(estimate, pivot[np.isfinite(pivot)], tails)
        for estimate, pivot in zip(estimates, np.concatenate(pivots, axis=1), strict=True)
    ]


def empirical_bernstein(estimate: ValueEstimate, *, low: float, high: float, confidence: float = 0.95) -> Interval:
    """An interval that covers the mean of the terms with at least this probability, however few the rows.

    Args:
        estimate: A mean: IPS or DR. The bound is about the mean of its terms, so it says nothing of a model's bias.
        low: Least value that a term can take, known beforehand.
        high: Largest value that a term can take.
        confidence: Probability of covering, both sides together.

    Raises:
        ValueError: The estimate is a ratio, or a term lies outside the range.
    """
    terms = estimate.numerators
    if not (estimate.denominators == 1.0).all():
        raise ValueError("the bound holds for means only")
    # Bounds come from the same products as the terms, in another order.
    slack = 1e-9 * max(1.0, abs(low), abs(high))
    if not (low - slack <= terms.min() and terms.max() <= high + slack):
        raise ValueError("a term lies outside its range")
    if len(terms) < 2:
        return Interval(low=low, high=high)
    log = math.log(4.0 / (1.0 - confidence))
    margin = math.sqrt(2.0 * float(terms.var(ddof=1)) * log / len(terms))
    margin += 7.0 * (high - low) * log / (3.0 * (len(terms) - 1))
    return Interval(low=max(low, estimate.value - margin), high=min(high, estimate.value + margin))


def _moments(estimate: ValueEstimate) -> F64:
    """Sums of these give the shift of the value and its standard error in any resample; shape (n, _SUMS).

    The numerators are taken less the estimate's share, so that squares are of what varies and nothing cancels.
    """
    y = estimate.denominators
    x = estimate.numerators - estimate.value * y
    return np.stack([x, y, x * x, x * y, y * y], axis=1)


def _counts(rng: np.random.Generator, rows: int, resamples: int) -> F64:
    """How often each row is in each resample; shape (resamples, n)."""
    drawn = rng.integers(rows, size=(resamples, rows)) + rows * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * resamples).reshape(resamples, rows).astype(np.float64)


def _pivots(counts: F64, moments: F64) -> F64:
    """(v* - v) / se* of every estimate in every resample, not finite where se* is 0; shape (m, resamples)."""
    x, y, xx, xy, yy = (counts @ moments).T.reshape(-1, _SUMS, len(counts)).swapaxes(0, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = x / y
        squares = xx - 2.0 * shift * xy + shift**2 * yy
        found: F64 = x / np.sqrt(np.maximum(squares, 0.0))
    return found


def _turned(estimate: ValueEstimate, pivots: F64, tails: list[float]) -> Interval:
    """The upper quantile of the pivot makes the lower bound."""
    error = estimate.standard_error
    if error == 0.0:
        return Interval(low=estimate.value, high=estimate.value)
    if len(pivots) == 0 or math.isinf(error):
        return Interval(low=-math.inf, high=math.inf)
    upper, lower = np.quantile(pivots, tails)
    return Interval(low=estimate.value - float(upper) * error, high=estimate.value - float(lower) * error)
