"""How much later than predicted variants answer: what turns a prediction into the moment to send a duplicate."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict, deque

__all__ = ("Lateness",)

WINDOW = 256
"""Latest answers of a variant that count."""

ENOUGH = 20
"""Fewer say nothing about a quantile; then what was predicted is taken as it is."""


class Lateness:
    """Keeps the ratios of observed to predicted times, by variant, of streams and of whole answers apart.

    An estimator states an upper quantile of its own level, and a card only a median. The ratios bring either to the
    level that is asked for, and to how the variant does now. A time that ended because another variant was faster is
    noted as it stood: it is above the quantile anyway, and there only its rank counts.
    """

    def __init__(self) -> None:
        self._latest: defaultdict[tuple[str | None, bool], deque[float]] = defaultdict(deque)
        self._sorted: defaultdict[tuple[str | None, bool], list[float]] = defaultdict(list)

    def note(self, variant: str | None, ratio: float, *, stream: bool) -> None:
        """A variant took this many times what was predicted."""
        latest, ranked = self._latest[variant, stream], self._sorted[variant, stream]
        if len(latest) == WINDOW:
            del ranked[bisect_left(ranked, latest.popleft())]
        latest.append(ratio)
        insort(ranked, ratio)

    def quantile(self, variant: str | None, *, stream: bool, level: float) -> float:
        """The ratio that this share of the answers stay within; 1 while too few are known."""
        ranked = self._sorted[variant, stream]
        return ranked[min(int(level * len(ranked)), len(ranked) - 1)] if len(ranked) >= ENOUGH else 1.0
