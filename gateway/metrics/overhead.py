"""What the gateway itself adds to a request."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ("overhead_s", "union_s")

Interval = tuple[float, float]


def union_s(intervals: Iterable[Interval]) -> float:
    """Seconds that lie in at least one of the intervals."""
    covered_s, until_s = 0.0, float("-inf")
    for began_s, ended_s in sorted(intervals):
        covered_s += max(0.0, ended_s - max(began_s, until_s))
        until_s = max(until_s, ended_s)
    return covered_s


def overhead_s(whole: Interval, upstream: Iterable[Interval]) -> float:
    """Seconds of the whole in which no variant was being asked; attempts that overlap count once."""
    began_s, ended_s = whole
    inside = ((max(began_s, a), min(ended_s, b)) for a, b in upstream)
    return ended_s - began_s - union_s((a, b) for a, b in inside if b > a)
