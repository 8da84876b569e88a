"""Notices that a variant no longer does what it did: a two-sided CUSUM over residuals (Page, 1954)."""

from __future__ import annotations

import math

__all__ = ("DriftDetector",)

SLACK = 0.25
"""Standard deviations that a mean may be off without adding up."""

THRESHOLD = 20.0
"""Sum that raises the alert. Without any change one is raised in about 10**5 records (Siegmund's approximation); a
change by one standard deviation is noticed within about 27."""

MEMORY = 0.99
LEAST_SD = 0.05


class DriftDetector:
    """The residuals of one head. Mutable."""

    def __init__(self) -> None:
        self._up = self._down = 0.0
        self._square = 0.0
        self._weight = 0.0

    def alerts(self, residual: float) -> bool:
        """Take a residual; whether the sum has just crossed the threshold, upon which it starts anew."""
        # The scale is taken before this residual counts, so that a jump is measured by what was usual.
        sd = max(LEAST_SD, math.sqrt(self._square / self._weight)) if self._weight >= 1.0 else 1.0
        self._square = MEMORY * self._square + residual**2
        self._weight = MEMORY * self._weight + 1.0
        step = max(-4.0, min(4.0, residual / sd))
        self._up = max(0.0, self._up + step - SLACK)
        self._down = max(0.0, self._down - step - SLACK)
        if max(self._up, self._down) < THRESHOLD:
            return False
        self._up = self._down = 0.0
        return True
