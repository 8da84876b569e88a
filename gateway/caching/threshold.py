"""How alike two prompts must be: set by the operator, tightened by the caller and by answers that proved wrong.

Nothing ever loosens it: not a caller, and no number of answers that were right. What a wrong answer has raised comes
down by itself after a time, to what the operator has set.
"""

from __future__ import annotations

import math

__all__ = ("effective", "raised_by")

CLOSED = 0.1
"""Share of the gap between a wrong pair's similarity and 1 that a wrong answer closes, beyond that similarity."""


def effective(stated: float, *, asked: float | None = None, raised: float | None = None) -> float:
    """The strictest of what the operator states, the caller asks for, and wrong answers have taught."""
    return max(stated, asked or 0.0, raised or 0.0)


def raised_by(similarity: float, *, raised: float | None = None) -> float:
    """The threshold after a wrong answer to a prompt of this similarity: above it, and never lower than before.

    Of two prompts that cannot be told apart it leads above 1, where nothing counts as the same any more.
    """
    above = max(similarity + CLOSED * (1.0 - similarity), math.nextafter(similarity, math.inf))
    return max(above, raised or 0.0)
