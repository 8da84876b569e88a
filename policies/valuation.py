"""What an answer is worth to a request: its quality, less the price of its dollars and its seconds."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from policies.objective import NonNegative

__all__ = ("Valuation",)


class Valuation(msgspec.Struct, frozen=True, kw_only=True):
    """`quality_weight * min(quality, keep * best quality) - per_usd * cost - per_s * latency`.

    Linear in money and time, so that every variant on the lower hull of cost and quality wins at some price.
    """

    quality_weight: NonNegative = 1.0
    """Utility of an answer of quality 1 against one of quality 0."""
    keep: Annotated[float, Meta(gt=0, le=1)] | None = None
    """Quality above this share of the best candidate's counts nothing; None counts all of it."""
    per_usd: NonNegative = 0.0
    """Utility lost per dollar."""
    per_s: NonNegative = 0.0
    """Utility lost per second of latency."""
