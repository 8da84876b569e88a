"""What a training says of itself, for tests that need no real one."""

from __future__ import annotations

from gateway.learning.trainings import Fit

__all__ = ("a_fit",)


def a_fit(*, after: int = 0, read_at_s: float = 1_700_000_000.0, judged_rows: int = 100, **better: str) -> Fit:
    """A training that found these estimators better, named by kind."""
    return Fit(
        read_at_s=read_at_s,
        took_s=1.5,
        rows=2 * judged_rows,
        judged_rows=judged_rows,
        better=better,
        because=dict.fromkeys(better, "it does better") | {"other": "it does not do better"},
        report={"comparisons": []},
        after=after,
    )
