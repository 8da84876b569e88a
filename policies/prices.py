"""What a tenant's constraints make of dollars, seconds and quality."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ("NO_PRICES", "Prices")


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant's constraints make of dollars, seconds and quality now: their shadow prices, and what is left."""

    per_usd: Annotated[float, Meta(ge=0)] = 0.0
    """Utility lost by a dollar."""
    per_s: Annotated[float, Meta(ge=0)] = 0.0
    """Utility lost by a second of latency."""
    per_quality: Annotated[float, Meta(ge=0)] = 0.0
    """Utility lost by an answer of quality 0 against one of quality 1."""
    ceiling_usd: float | None = None
    """The most one request may be predicted to cost; None without a budget, negative when nothing is left."""

    def together(self, other: Prices) -> Prices:
        """Both at once: prices add up, and the lower ceiling holds."""
        ceilings = [c for c in (self.ceiling_usd, other.ceiling_usd) if c is not None]
        return Prices(
            per_usd=self.per_usd + other.per_usd,
            per_s=self.per_s + other.per_s,
            per_quality=self.per_quality + other.per_quality,
            ceiling_usd=min(ceilings, default=None),
        )


NO_PRICES = Prices()
"""Nothing is scarce."""
