"""What an evaluation is made from: logged choices, and what the policy to be judged would have done instead.

A row is (x, a, p, r): a request, the variant chosen for it, the probabilities it was chosen with, and the reward.
All that later modules rely on is checked here, once.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ("SUM_TOLERANCE", "LoggedBatch")

F64 = NDArray[np.float64]

SUM_TOLERANCE = 1e-6
"""How far probabilities may be from summing to 1: stored figures are rounded."""


class LoggedBatch(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """n logged choices among k variants.

    A variant that a row could not have had has probability 0 in both policies there.

    Raises:
        ValueError: Shapes differ, a number is not finite, probabilities do not sum to 1, or a row's choice has
            probability 0, so that it cannot have been drawn from them.
    """

    variants: tuple[str, ...]
    """Names of the variants, in the order of the columns."""
    actions: NDArray[np.intp]
    """Column of the variant chosen; shape (n,)."""
    rewards: F64
    """What its answer was worth; shape (n,)."""
    logging: F64
    """Probabilities p(a|x) that the choice was drawn with; shape (n, k)."""
    target: F64
    """Probabilities pi(a|x) of the policy to be judged; shape (n, k)."""
    predicted: F64 | None = None
    """Rewards q(x, a) that a model predicts, never fitted on the row it predicts; shape (n, k). None is no model."""

    def __post_init__(self) -> None:
        """Refuse what no log can hold."""
        shape = (len(self.actions), len(self.variants))
        if 0 in shape or self.actions.shape != (shape[0],) or self.rewards.shape != (shape[0],):
            raise ValueError("actions and rewards need the same length, and at least one row and one variant")
        if not np.isfinite(self.rewards).all():
            raise ValueError("a reward is not finite")
        if not ((self.actions >= 0) & (self.actions < shape[1])).all():
            raise ValueError("an action is none of the variants")
        _check_probabilities("logging", self.logging, shape)
        _check_probabilities("target", self.target, shape)
        if self.predicted is not None and not (self.predicted.shape == shape and np.isfinite(self.predicted).all()):
            raise ValueError(f"predicted rewards must be finite and of shape {shape}")
        if not (self.chosen(self.logging) > 0.0).all():
            raise ValueError("a row's choice has logging probability 0")

    def __len__(self) -> int:
        return len(self.actions)

    def chosen(self, values: F64) -> F64:
        """Of values per row and variant, those of the variants chosen; shape (n,)."""
        taken: F64 = np.take_along_axis(values, self.actions[:, None], axis=1)[:, 0]
        return taken

    @property
    def ratios(self) -> F64:
        """pi(a|x) / p(a|x) of all variants that could have been drawn, 0 for the others; shape (n, k)."""
        return np.divide(self.target, self.logging, out=np.zeros_like(self.target), where=self.logging > 0.0)

    @property
    def weights(self) -> F64:
        """Importance weight of each row: the ratio of its choice; shape (n,)."""
        return self.chosen(self.target) / self.chosen(self.logging)


def _check_probabilities(name: str, values: F64, shape: tuple[int, int]) -> None:
    if values.shape != shape:
        raise ValueError(f"{name} probabilities have shape {values.shape}, expected {shape}")
    if not (values >= 0.0).all() or not math.isclose(_farthest_sum(values), 1.0, rel_tol=0.0, abs_tol=SUM_TOLERANCE):
        raise ValueError(f"{name} probabilities of a row are negative or do not sum to 1")


def _farthest_sum(values: F64) -> float:
    sums = values.sum(axis=1)
    return float(sums[np.argmax(np.abs(sums - 1.0))])
