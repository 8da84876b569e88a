"""What an estimator is. Learned ones and the card-based one are interchangeable behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from policies.types import Candidate, Estimate, RoutingRequest

__all__ = ("Estimator", "is_sound")


class Estimator(Protocol):
    """Predicts quality, times, length and cost of all candidates for one request. Pure; tens of microseconds."""

    def estimate(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Sequence[Estimate]:
        """One estimate per candidate, in their order.

        May raise anything or return nonsense: `decide` then falls back to the static order.
        """
        ...


def is_sound(estimate: Estimate) -> bool:
    """Whether an estimate can be decided on: all figures finite, quality in [0, 1], the rest not negative."""
    figures = (
        estimate.quality_se,
        estimate.ttft_s,
        estimate.ttft_high_s or 0.0,
        estimate.tpot_s,
        estimate.completion_tokens,
        estimate.latency_s,
        estimate.latency_high_s or 0.0,
        estimate.cost_usd,
    )
    return 0.0 <= estimate.quality <= 1.0 and all(math.isfinite(x) and x >= 0.0 for x in figures)
