"""Money as the ledger counts it: whole billionths of a dollar, so that sums are exact."""

from __future__ import annotations

import math

__all__ = ("MOST_NUSD", "to_nusd", "to_usd")

NUSD_PER_USD = 1_000_000_000

MOST_NUSD = 2**56
"""About 72 million dollars, the most an account counts: sums over a hundred processes fit a database's 64 bits."""


def to_nusd(usd: float) -> int:
    """Billionths of a dollar, rounded up, so that an account never shows less than was spent; never below 0."""
    return math.ceil(min(max(usd * NUSD_PER_USD, 0.0), MOST_NUSD))


def to_usd(nusd: int) -> float:
    """US dollars."""
    return nusd / NUSD_PER_USD
