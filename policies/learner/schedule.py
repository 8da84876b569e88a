"""When a learner is fitted anew: on the first evidence, then whenever there is half as much again."""

from __future__ import annotations

__all__ = ("FIRST_FIT", "GROWTH", "is_due")

FIRST_FIT = 50
"""Judged answers of the first fit."""

GROWTH = 1.5
"""Factor on the judged answers between two fits."""


def is_due(judged: int, *, at_last: int, first: int = FIRST_FIT) -> bool:
    """Whether there is enough new evidence for another fit.

    Args:
        judged: Judged answers by now.
        at_last: Judged answers at the last fit, promoted or not; 0 before the first.
        first: Judged answers of the first fit.
    """
    return judged >= max(first, GROWTH * at_last)
