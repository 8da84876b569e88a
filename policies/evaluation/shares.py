"""How requests were divided between the variants as time went by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policies.evaluation.learning_types import Shares
from policies.evaluation.routed import RoutedRequest

__all__ = ("shares_over_time",)

MAX_BINS = 48
WIDTHS_S = (5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0, 43_200.0, 86_400.0)
"""What a bin may be long: a person can name it."""


def shares_over_time(requests: Sequence[RoutedRequest], *, since_s: float, until_s: float) -> Shares:
    """Count requests in at most `MAX_BINS` bins, from the first request of the period on."""
    routed = [r for r in requests if not r.pinned and since_s <= r.created_at_s <= until_s]
    first_s = min((request.created_at_s for request in routed), default=since_s)
    width_s = _width_s(until_s - first_s)
    start_s = first_s // width_s * width_s
    bins = int((until_s - start_s) // width_s) + 1
    counts = {name: np.zeros(bins, dtype=int) for name in sorted({request.choice for request in routed})}
    for request in routed:
        counts[request.choice][int((request.created_at_s - start_s) // width_s)] += 1
    return Shares(
        begins_s=tuple(start_s + width_s * place for place in range(bins)),
        width_s=width_s,
        counts={name: tuple(found.tolist()) for name, found in counts.items()},
    )


def _width_s(period_s: float) -> float:
    """The shortest width at which the bins are few enough; whole days for a long period."""
    days = 86_400.0 * (period_s // (86_400.0 * (MAX_BINS - 1)) + 1)
    return next((width_s for width_s in WIDTHS_S if period_s <= width_s * (MAX_BINS - 1)), days)
