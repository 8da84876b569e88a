"""What is believed of a decision's candidates together: how good each is on the tenant's traffic, and how surely.

Quality is split in two. A candidate's *level* is its mean quality on the tenant's recent requests; its *shift* is how
much better or worse it is predicted to be on this one. Levels are explored, shifts are treated with caution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.types import Estimate

__all__ = ("DRAWS", "Belief", "Estimates", "of_estimates", "standard_draws")

F64 = NDArray[np.float64]

DRAWS = 4096
"""Draws there are, of which an exploration uses the first ones."""


class Belief(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """About k candidates, in the order of their estimates."""

    level: F64
    """Mean of each candidate's level; shape (k,)."""
    draws: F64
    """How far each posterior draw of the levels is from their means; shape (k, n_draws)."""
    shift: F64
    """Mean of each shift; shape (k,)."""
    doubt: F64
    """Standard deviation of the difference between two shifts; shape (k, k)."""
    usd: F64
    """Mean predicted cost of each on the tenant's traffic; shape (k,)."""
    latency_s: F64
    """Mean predicted latency likewise; shape (k,)."""
    tried: F64
    """Requests that each has been chosen for; shape (k,)."""
    requests: float = 0.0
    """Requests that any was chosen for."""
    judged: bool = True
    """Whether enough answers are judged for an exploration to teach anything."""

    def is_sound(self, k: int) -> bool:
        """Whether it can be decided on: of k candidates, and all figures finite."""
        arrays = (self.level, self.shift, self.doubt, self.usd, self.latency_s)
        # A sum is finite only if every part is.
        return len(self.level) == k == len(self.draws) and all(math.isfinite(float(a.sum())) for a in arrays)


class Estimates(tuple[Estimate, ...]):  # noqa: SLOT001 - a tuple has no room for slots
    """One estimate per candidate, with the belief behind them."""

    belief: Belief

    def __new__(cls, estimates: Sequence[Estimate], belief: Belief) -> Self:
        """Bind the belief to the estimates."""
        made = super().__new__(cls, estimates)
        made.belief = belief
        return made


def of_estimates(estimates: Sequence[Estimate]) -> Belief:
    """The belief of an estimator that has single figures only: levels apart from each other, and no shifts."""
    k = len(estimates)
    se = np.array([estimate.quality_se for estimate in estimates])
    return Belief(
        level=np.array([estimate.quality for estimate in estimates]),
        draws=standard_draws(k) * se[:, None],
        shift=np.zeros(k),
        doubt=np.zeros((k, k)),
        usd=np.array([estimate.cost_usd for estimate in estimates]),
        latency_s=np.array([estimate.latency_s for estimate in estimates]),
        tried=np.full(k, np.inf),
    )


@lru_cache(maxsize=64)
def standard_draws(k: int) -> F64:
    """Normal draws for k candidates, always the same, each followed by its mirror image; shape (k, DRAWS)."""
    half = np.random.default_rng(0x7121).standard_normal((k, DRAWS // 2))
    draws = np.empty((k, DRAWS))
    draws[:, ::2], draws[:, 1::2] = half, -half
    draws.flags.writeable = False
    return draws
