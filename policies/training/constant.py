"""The plainest of baselines: of every variant what it did on average, whatever is asked. No part of serving."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from policies.training.dataset import Dataset
from policies.types import Candidate, Estimate, RoutingRequest

__all__ = ("ConstantEstimator",)

F64 = NDArray[np.float64]


class ConstantEstimator:
    """Means and quantiles of the rows it is given; of a variant without any, those of all."""

    def __init__(self, rows: Dataset, *, high: float) -> None:
        names = np.unique(rows.variant).tolist()
        self._known = {name: _estimate(rows.take(rows.variant == name), high=high) for name in names}
        self._other = _estimate(rows, high=high)

    def estimate(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> list[Estimate]:  # noqa: ARG002
        """The same for every request."""
        return [self._known.get(candidate.name, self._other) for candidate in candidates]


def _estimate(rows: Dataset, *, high: float) -> Estimate:
    judged = rows.quality_weight > 0.0
    quality = np.average(rows.quality[judged], weights=rows.quality_weight[judged]) if judged.any() else 0.5
    latency_s, latency_high_s = _quantiles(rows.latency_s, high)
    ttft_s, ttft_high_s = _quantiles(rows.ttft_s, high)
    return Estimate(
        quality=float(quality),
        ttft_s=ttft_s,
        ttft_high_s=ttft_high_s,
        tpot_s=_quantiles(rows.tpot_s, high)[0],
        completion_tokens=float(rows.completion_tokens.mean()),
        latency_s=latency_s,
        latency_high_s=latency_high_s,
        cost_usd=float(rows.cost_usd.mean()),
    )


def _quantiles(seen: F64, high: float) -> tuple[float, float]:
    known = seen[np.isfinite(seen)]
    return (float(np.median(known)), float(np.quantile(known, high))) if len(known) else (0.0, 0.0)
