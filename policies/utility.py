"""How good a candidate is for a request: accuracy against cost and time, weighed as the request asks."""

from __future__ import annotations

from collections.abc import Sequence

from policies.types import Estimate, Weights

__all__ = ("utilities",)


def utilities(estimates: Sequence[Estimate], weights: Weights) -> list[float]:
    """Utility of each estimate: `a * quality - c * cost / max cost - s * latency / max latency`.

    The weights are normalised to sum to 1. Cost and latency are taken relative to the largest among the given
    estimates, so that the trade-off means the same for a cent as for a dollar and for a prompt of ten tokens as for
    one of a thousand. The maximum and not the range is the scale: two candidates that cost almost the same then
    differ by almost nothing, where a range would blow the difference up to 1.
    """
    total = weights.speed + weights.cost + weights.accuracy
    cost_scale = max((e.cost_usd for e in estimates), default=0.0) or 1.0
    latency_scale = max((e.latency_s for e in estimates), default=0.0) or 1.0
    return [
        (
            weights.accuracy * e.quality
            - weights.cost * (e.cost_usd / cost_scale)
            - weights.speed * (e.latency_s / latency_scale)
        )
        / total
        for e in estimates
    ]
