"""All figures that show whether routing learns, from the decisions of a period."""

from __future__ import annotations

from collections.abc import Sequence

from policies.evaluation.exploration_cost import exploration_cost
from policies.evaluation.fixed_variants import against_fixed
from policies.evaluation.learning_types import LearningFigures
from policies.evaluation.predictions import variant_figures
from policies.evaluation.routed import RoutedRequest
from policies.evaluation.shares import shares_over_time

__all__ = ("learning_figures",)


def learning_figures(requests: Sequence[RoutedRequest], *, since_s: float, until_s: float) -> LearningFigures:
    """Compute all of them.

    Args:
        requests: Of the period, in any order.
        since_s: Unix time at which the period begins.
        until_s: Unix time at which it ends.
    """
    realised = [request.realised for request in requests if request.realised is not None]
    return LearningFigures(
        requests=len(requests),
        pinned=sum(request.pinned for request in requests),
        forced=sum(request.forced for request in requests),
        answered=len(realised),
        judged=sum(answer.quality is not None for answer in realised),
        variants=variant_figures(requests),
        shares=shares_over_time(requests, since_s=since_s, until_s=until_s),
        fixed=against_fixed(requests),
        drawn_cost=exploration_cost(request for request in requests if not request.forced),
        forced_cost=exploration_cost(request for request in requests if request.forced),
    )
