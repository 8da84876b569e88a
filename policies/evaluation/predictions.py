"""What was predicted of each variant, against what it did: means, reliability of quality, and coverage of times."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from policies.evaluation.estimators import Method, ValueEstimate
from policies.evaluation.interval import Interval
from policies.evaluation.learning_types import Compared, Coverage, ReliabilityBin, Share, VariantFigures
from policies.evaluation.routed import RoutedRequest

__all__ = ("proportion", "variant_figures")

F64 = NDArray[np.float64]

BIN_ROWS = 15
"""Judged answers in a bin of the reliability picture, at least."""
MAX_BINS = 8


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
