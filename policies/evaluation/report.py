"""Everything that a log says of a target policy, as one table."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.evaluation.diagnostics import Problem, Support, problems, support
from policies.evaluation.estimators import (
    SWITCH_THRESHOLD,
    Method,
    ValueEstimate,
    dm,
    dr,
    ips,
    logged_value,
    snips,
    switch_dr,
)
from policies.evaluation.intervals import Interval, bootstrap, empirical_bernstein, student
from policies.evaluation.logged import LoggedBatch

__all__ = ("MIN_ESS", "Line", "Report", "evaluate", "value_estimates")

F64 = NDArray[np.float64]

MIN_ESS = 100.0
"""Effective rows: in `benchmarks/off_policy.py` intervals cover as they say from about 50 on; this is twice that."""

WEIGHTED = (Method.IPS, Method.SNIPS)
"""Estimators whose terms large weights pull to one side: their intervals are resampled, the others Student's."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One estimator's answer."""

    method: Method
    value: float
    standard_error: float
    interval: Interval
    """Studentised bootstrap for IPS and SNIPS, Student's with Satterthwaite's degrees of freedom for the others."""
    lift: Interval
    """Of the value less that of the policy that wrote the log, on the same rows; made alike."""
    guaranteed: Interval | None
    """Empirical Bernstein; None where no such bound holds."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation: to be believed where `problems` is empty."""

    confidence: float
    lines: tuple[Line, ...]
    """The log's own value first, then the estimators that the batch allows."""
    support: Support
    problems: tuple[Problem, ...]

    def line(self, method: Method) -> Line | None:
        """An estimator's line; None where the batch did not allow it."""
        return next((line for line in self.lines if line.method is method), None)


def evaluate(
    batch: LoggedBatch,
    *,
    rng: np.random.Generator,
    reward_range: tuple[float, float] = (0.0, 1.0),
    confidence: float = 0.95,
    threshold: float = SWITCH_THRESHOLD,
    min_ess: float = MIN_ESS,
    max_missing: float = 0.0,
    resamples: int = 1000,
) -> Report:
    """Estimate the target policy's value by every method the batch allows, with intervals and diagnostics.

    Args:
        batch: The logged choices.
        rng: Source of the bootstrap's resamples.
        reward_range: Least and largest reward that can occur: what the guaranteed bounds rest on.
        confidence: Of all intervals, in (0, 1).
        threshold: Weight above which SWITCH-DR trusts the model.
        min_ess: Least effective sample size, in rows.
        max_missing: Largest target probability on what the log cannot tell of.
        resamples: Of the bootstrap.

    Raises:
        ValueError: A reward lies outside its range.
    """
    estimates = value_estimates(batch, threshold=threshold)
    intervals = _intervals(estimates, rng=rng, confidence=confidence, resamples=resamples)
    gains = [_gain(estimate, batch) for estimate in estimates]
    lifts = _intervals(gains, rng=rng, confidence=confidence, resamples=resamples)
    bounds = [_guaranteed(estimate, batch, reward_range, confidence) for estimate in estimates]
    found = support(batch, threshold=threshold)
    return Report(
        confidence=confidence,
        lines=tuple(map(_line, estimates, intervals, lifts, bounds)),
        support=found,
        problems=problems(found, min_ess=min_ess, max_missing=max_missing),
    )


def value_estimates(batch: LoggedBatch, *, threshold: float = SWITCH_THRESHOLD) -> list[ValueEstimate]:
    """The log's own value and every estimate the batch allows: some need predictions, SNIPS a row with weight."""
    found = [logged_value(batch), ips(batch)]
    if batch.weights.any():
        found.append(snips(batch))
    if batch.predicted is not None:
        found += [dm(batch), dr(batch), switch_dr(batch, threshold=threshold)]
    return found


def _line(estimate: ValueEstimate, interval: Interval, lift: Interval, guaranteed: Interval | None) -> Line:
    return Line(
        method=estimate.method,
        value=estimate.value,
        standard_error=estimate.standard_error,
        interval=interval,
        lift=lift,
        guaranteed=guaranteed,
    )


def _intervals(
    estimates: Sequence[ValueEstimate], *, rng: np.random.Generator, confidence: float, resamples: int
) -> list[Interval]:
    weighted = [estimate for estimate in estimates if estimate.method in WEIGHTED]
    resampled = iter(bootstrap(weighted, rng=rng, confidence=confidence, resamples=resamples))
    return [
        next(resampled) if estimate.method in WEIGHTED else student(estimate, confidence=confidence)
        for estimate in estimates
    ]


def _gain(estimate: ValueEstimate, batch: LoggedBatch) -> ValueEstimate:
    """The gain over the log itself, row by row, so that what both share cancels."""
    gains = estimate.contributions - batch.rewards
    return ValueEstimate(method=estimate.method, numerators=gains, denominators=np.ones(len(batch)))


def _guaranteed(
    estimate: ValueEstimate, batch: LoggedBatch, reward_range: tuple[float, float], confidence: float
) -> Interval | None:
    if estimate.method is Method.IPS:
        predicted: F64 | None = np.zeros_like(batch.target)
    else:
        predicted = batch.predicted if estimate.method is Method.DR else None
    if predicted is None:
        return None
    low, high = _term_range(batch, predicted, reward_range)
    return empirical_bernstein(estimate, low=low, high=high, confidence=confidence)


def _term_range(batch: LoggedBatch, predicted: F64, reward_range: tuple[float, float]) -> tuple[float, float]:
    """Least and largest term of DR (of IPS where nothing is predicted) over all choices the log could have made.

    Taken over the requests of the log: a request like none of them could fall outside.
    """
    expected = (batch.target * predicted).sum(axis=1, keepdims=True)
    ends = [expected + batch.ratios * (reward - predicted) for reward in reward_range]
    possible = batch.logging > 0.0
    low = np.min(ends[0], where=possible, initial=np.inf)
    return float(low), float(np.max(ends[1], where=possible, initial=-np.inf))
