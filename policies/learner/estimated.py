"""From what a learner predicts of a candidate, figure by figure, to its estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from policies.estimators.corrections import TimeFactors
from policies.estimators.cost import cost_usd
from policies.types import Candidate, Estimate, RoutingRequest

__all__ = ("between", "estimated", "in_order", "rounded")

F64 = NDArray[np.float64]


def estimated(request: RoutingRequest, candidate: Candidate, row: Sequence[float]) -> Estimate:
    """One estimate.

    Args:
        request: It is about.
        candidate: That would answer.
        row: Quality and its standard error, tokens, and the times in the order of
        `policies.estimators.latency.Times`.
    """
    score, quality_se, tokens, wait_s, ttft_s, ttft_high_s, tpot_s, latency_s, latency_high_s = row
    busy_s = ttft_s - wait_s + max(0.0, tokens - 1.0) * tpot_s
    return Estimate(
        quality=min(1.0, max(0.0, score)),
        quality_se=quality_se,
        ttft_s=ttft_s,
        ttft_high_s=ttft_high_s,
        tpot_s=tpot_s,
        completion_tokens=tokens,
        latency_s=latency_s,
        latency_high_s=latency_high_s,
        cost_usd=cost_usd(
            candidate, prompt_tokens=request.prompt_tokens, completion_tokens=tokens, busy_s=max(0.0, busy_s)
        ),
    )


def rounded(factor: TimeFactors) -> tuple[int, int]:
    """A correction to about a twentieth: finer changes move no price."""
    return round(20.0 * math.log(factor.ttft)), round(20.0 * math.log(factor.tpot))


def in_order(places: NDArray[np.intp]) -> bool:
    """Whether these are the first places, one after the other."""
    return all(place == number for number, place in enumerate(places.tolist()))


def between(covariances: F64, places: NDArray[np.intp]) -> F64:
    """Covariances of some variants only; shape (n, k, k)."""
    if covariances.shape[1] == len(places) and in_order(places):
        return covariances
    return covariances[:, places[:, None], places]
