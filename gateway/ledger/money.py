"""Money as the ledger counts it: whole billionths of a dollar, so that sums are exact."""

from __future__ import annotations

import math

__all__ = ("MOST_NUSD", "to_nusd", "to_usd")

NUSD_PER_USD = 1_000_000_000

MOST_NUSD = 2**62
"""About 4.6 billion dollars: sums of two still fit a database's 64 bits."""


def to_nusd(usd: float) -> int:
    """Billionths of a dollar, rounded up: an account never shows less than was spent."""
    return min(MOST_NUSD, math.ceil(usd * NUSD_PER_USD))


def to_usd(nusd: int) -> float:
    """US dollars."""
    return nusd / NUSD_PER_USD
