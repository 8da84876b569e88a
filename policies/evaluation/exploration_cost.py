"""What exploring costs, by the predictions that the decisions were made with."""

from __future__ import annotations

from collections.abc import Iterable

from policies.evaluation.learning_types import ExplorationCost
from policies.evaluation.routed import RoutedRequest
from policies.types import Verdict

__all__ = ("exploration_cost",)


def exploration_cost(requests: Iterable[RoutedRequest]) -> ExplorationCost:
    """Add up what exploring cost these requests; pinned ones are passed over."""
    count = explored = 0
    quality = usd = s = lost = 0.0
    linear = True
    for request in requests:
        pair = _pair(request)
        if pair is None:
            continue
        best, chosen = pair
        count += 1
        if best is chosen or best.estimate is None or chosen.estimate is None:
            continue
        explored += 1
        linear = linear and request.valuation is not None
        lost += (best.utility or 0.0) - (chosen.utility or 0.0)
        quality += best.estimate.quality - chosen.estimate.quality
        usd += chosen.estimate.cost_usd - best.estimate.cost_usd
        s += chosen.estimate.latency_s - best.estimate.latency_s
    return ExplorationCost(
        requests=count, explored=explored, utility=lost if linear else None, quality=quality, usd=usd, s=s
    )


def _pair(request: RoutedRequest) -> tuple[Verdict, Verdict] | None:
    """The candidate of highest utility, and the one chosen; the latter where they are equals."""
    if request.pinned:
        return None
    able = [v for v in request.verdicts if v.excluded_because is None and v.utility is not None]
    chosen = next((verdict for verdict in able if verdict.variant == request.choice), None)
    if chosen is None:
        return None
    return max(able, key=lambda verdict: (verdict.utility or 0.0, verdict is chosen)), chosen
