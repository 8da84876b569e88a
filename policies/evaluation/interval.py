"""The bounds of what is not known exactly."""

from __future__ import annotations

import msgspec

__all__ = ("Interval",)


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """Two bounds; infinite where nothing can be said."""

    low: float
    high: float

    def covers(self, value: float) -> bool:
        """Whether a value lies between the bounds."""
        return self.low <= value <= self.high
