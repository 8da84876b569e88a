"""Notices that a variant no longer does what it did: its latest residuals, taken together, are off."""

from __future__ import annotations

from collections import deque

import numpy as np

__all__ = ("ChangeDetector",)

WINDOW = 80
"""Latest records that are looked at."""
SHORTEST = 10
THRESHOLD = 4.0
"""Standard deviations of a sum of standard normals. In steady traffic about one alert in some thousand records."""


class ChangeDetector:
    """The standardised residuals of one variant. Mutable."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=WINDOW)

    def alerts(self, residual: float) -> bool:
        """Take a standardised residual; whether the last m of them, for any m in 10..80, sum to more than chance.

        `|sum of the last m| / sqrt(m) > 4`. After an alert it starts anew.
        """
        self._latest.appendleft(max(-4.0, min(4.0, residual)))
        if len(self._latest) < SHORTEST:
            return False
        sums = np.abs(np.cumsum(self._latest)) / _ROOTS[: len(self._latest)]
        if sums[SHORTEST - 1 :].max() <= THRESHOLD:
            return False
        self._latest.clear()
        return True


_ROOTS = np.sqrt(np.arange(1, WINDOW + 1))
