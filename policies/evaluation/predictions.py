"""What was predicted of each variant, against what it did: means, reliability of quality, and coverage of times."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from policies.evaluation.estimators import Method, ValueEstimate
from policies.evaluation.intervals import Interval
from policies.evaluation.routed import RoutedRequest

__all__ = ("Compared", "Coverage", "ReliabilityBin", "Share", "VariantFigures", "proportion", "variant_figures")

F64 = NDArray[np.float64]

BIN_ROWS = 15
"""Judged answers in a bin of the reliability picture, at least."""
MAX_BINS = 8


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a variant, predicted and realised on the same answers."""

    rows: int
    predicted: float
    """Mean."""
    realised: float
    """Mean."""
    difference: float
    """Realised less predicted."""
    difference_se: float | None
    """Its standard error; None of a single answer."""
    ratio: float | None
    """Sum of what was realised over the sum of what was predicted; None where nothing but 0 was predicted."""
    ratio_se: float | None


class ReliabilityBin(msgspec.Struct, frozen=True, kw_only=True):
    """Judged answers of about the same predicted quality."""

    rows: int
    predicted: float
    realised: float
    interval: Interval
    """Of the realised mean, at 95 %."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """How many of some answers, and between what bounds that lies at 95 %."""

    share: float
    interval: Interval


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How often a time stayed below what was predicted."""

    rows: int
    below_median: Share
    """Half of the answers, where predictions are right."""
    below_high: Share | None
    """95 % of the answers, where predictions are right; None where no upper quantile was predicted."""


class VariantFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a variant was predicted to do and did. A figure that no answer tells of is None."""

    variant: str
    chosen: int
    """Requests that went to it, pinned ones included."""
    answered: int
    """Of those, answered by it alone: what all that follows is about."""
    judged: int
    quality: Compared | None
    cost_usd: Compared | None
    latency_s: Compared | None
    """Predictions of time are medians, so means of skewed times lie above them: see the coverage too."""
    ttft_s: Compared | None
    """Of streamed answers."""
    reliability: tuple[ReliabilityBin, ...]
    """By rising predicted quality."""
    latency_coverage: Coverage | None
    ttft_coverage: Coverage | None


def variant_figures(requests: Sequence[RoutedRequest]) -> tuple[VariantFigures, ...]:
    """Figures of all variants that were chosen, by name."""
    by_name: dict[str, list[RoutedRequest]] = {}
    for request in requests:
        by_name.setdefault(request.choice, []).append(request)
    return tuple(_variant(name, by_name[name]) for name in sorted(by_name))


def proportion(successes: float, rows: int, *, confidence: float = 0.95) -> Interval:
    """Jeffreys' interval of a proportion (Brown, Cai and DasGupta, 2001); of fractional scores it is a wide one.

    Scores in [0, 1] vary at most as much as zeros and ones of the same mean.
    """
    tail = (1.0 - confidence) / 2.0
    failures = rows - successes
    low = float(betaincinv(successes + 0.5, failures + 0.5, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 0.5, failures + 0.5, 1.0 - tail)) if failures > 0 else 1.0
    return Interval(low=low, high=high)


def _variant(name: str, requests: Sequence[RoutedRequest]) -> VariantFigures:
    pairs = [(r.realised, e) for r in requests if r.realised is not None and (e := r.predicted(name)) is not None]
    judged = _columns([(e.quality, a.quality) for a, e in pairs if a.quality is not None])
    streamed = [(e.ttft_s, e.ttft_high_s, a.ttft_s) for a, e in pairs if a.ttft_s is not None]
    latencies = [(e.latency_s, e.latency_high_s, a.latency_s) for a, e in pairs]
    return VariantFigures(
        variant=name,
        chosen=len(requests),
        answered=len(pairs),
        judged=judged.shape[1],
        quality=_compared(judged),
        cost_usd=_compared(_columns([(e.cost_usd, a.cost_usd) for a, e in pairs])),
        latency_s=_compared(_columns([(median, seen) for median, _, seen in latencies])),
        ttft_s=_compared(_columns([(median, seen) for median, _, seen in streamed])),
        reliability=_reliability(judged),
        latency_coverage=_coverage(latencies),
        ttft_coverage=_coverage(streamed),
    )


def _columns(pairs: Sequence[tuple[float, float]]) -> F64:
    """Predicted and realised; shape (2, n)."""
    return np.array(pairs, np.float64).reshape(-1, 2).T


def _compared(pairs: F64) -> Compared | None:
    predicted, realised = pairs
    rows = len(predicted)
    if not rows:
        return None
    differences = realised - predicted
    ratio = None
    if predicted.sum() > 0.0:
        ratio = ValueEstimate(method=Method.LOGGED, numerators=realised, denominators=predicted)
    alone = rows < 2
    return Compared(
        rows=rows,
        predicted=float(predicted.mean()),
        realised=float(realised.mean()),
        difference=float(differences.mean()),
        difference_se=None if alone else float(differences.std(ddof=1)) / math.sqrt(rows),
        ratio=None if ratio is None else ratio.value,
        ratio_se=None if ratio is None or alone else ratio.standard_error,
    )


def _reliability(judged: F64) -> tuple[ReliabilityBin, ...]:
    """Bins of as many answers each, by predicted quality."""
    predicted, realised = judged[:, np.argsort(judged[0], kind="stable")]
    bins = min(MAX_BINS, max(1, len(predicted) // BIN_ROWS))
    pieces = zip(np.array_split(predicted, bins), np.array_split(realised, bins), strict=True)
    return tuple(
        ReliabilityBin(
            rows=len(scores),
            predicted=float(expected.mean()),
            realised=float(scores.mean()),
            interval=proportion(float(scores.sum()), len(scores)),
        )
        for expected, scores in pieces
        if len(scores)
    )


def _coverage(times: Sequence[tuple[float, float | None, float]]) -> Coverage | None:
    """Of (median, upper quantile, realised)."""
    if not times:
        return None
    highs = [seen <= high for _, high, seen in times if high is not None]
    return Coverage(
        rows=len(times),
        below_median=_share([seen <= median for median, _, seen in times]),
        below_high=_share(highs) if highs else None,
    )


def _share(held: Sequence[bool]) -> Share:
    return Share(share=sum(held) / len(held), interval=proportion(float(sum(held)), len(held)))
