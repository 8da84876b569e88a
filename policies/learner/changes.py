"""Notices that a variant no longer does what it did: its latest residuals, taken together, are off."""

from __future__ import annotations

from collections import deque

import numpy as np

__all__ = ("ChangeDetector",)

WINDOW = 80
"""Latest records that are looked at."""
SHORTEST = 10
THRESHOLD = 5.0
"""Standard deviations of a sum of standard normals. A mean that is off by three quarters of one is noticed within
about fifty records."""

CLIP = 2.5
"""Standard deviations beyond which one residual says no more: scores of judges have heavy tails, and a few of them
in a row are no change."""


class ChangeDetector:
    """The standardised residuals of one variant. Mutable."""

    def __init__(self) -> None:
        self._latest: deque[tuple[float, float]] = deque(maxlen=WINDOW)

    def alert(self, residual: float, *, at_s: float) -> float | None:
        """Take a standardised residual; the time since when residuals have been off, or None where they are not.

        They are off if the last m of them, for any m in 10..80, sum to more than chance: `|sum| / sqrt(m) > 5`. After
        an alert it starts anew.
        """
        self._latest.appendleft((max(-CLIP, min(CLIP, residual)), at_s))
        if len(self._latest) < SHORTEST:
            return None
        sums = np.abs(np.cumsum([value for value, _ in self._latest])) / _ROOTS[: len(self._latest)]
        longest = SHORTEST - 1 + int(sums[SHORTEST - 1 :].argmax())
        if sums[longest] <= THRESHOLD:
            return None
        since_s = self._latest[longest][1]
        self._latest.clear()
        return since_s


_ROOTS = np.sqrt(np.arange(1, WINDOW + 1))
