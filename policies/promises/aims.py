"""What the rest of a window has to come to, for the promise to hold over the whole of it.

Both functions look at what has been and at how many requests are still to come, and keep a reserve for the luck of
those: one that shrinks with their number, so that a window which runs ahead may use up what it has saved.
"""

from __future__ import annotations

import math

__all__ = ("needed_mean", "spare_share")

CAUTION = 2.0
"""Standard deviations held in reserve; about 97 % of the windows that aim so keep what they aim at."""


def spare_share(allowance: float, *, seen: int, broken: int, ahead: float) -> float:
    """Share of the coming requests that may break a limit which the given share of all may break.

    Args:
        allowance: Of the window's requests, such as 0.05 for a 95th percentile.
        seen: Requests of the window so far.
        broken: Those among them that broke the limit.
        ahead: Requests still expected, more than 0.
    """
    reserve = CAUTION * math.sqrt(allowance * (1.0 - allowance) * ahead)
    left = allowance * (seen + ahead) - broken - reserve
    return min(1.0, max(0.0, left / ahead))


def needed_mean(floor: float, *, seen: int, total: float, ahead: float, spread: float) -> float:
    """Mean that the coming requests need for the mean of all to reach the floor, in [0, 1].

    Args:
        floor: Of the window's mean.
        seen: Requests of the window so far.
        total: The sum of what they reached.
        ahead: Requests still expected, more than 0.
        spread: Standard deviation of what one request reaches.
    """
    reserve = CAUTION * spread * math.sqrt(ahead)
    return min(1.0, max(0.0, (floor * (seen + ahead) - total + reserve) / ahead))
