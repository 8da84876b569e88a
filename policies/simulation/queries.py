"""What a router may know of requests: their features. And, of requests it may learn from, their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from policies.features.extract import extract
from policies.features.types import Features, Prompt
from policies.simulation.tables import Table

__all__ = ("Labelled", "Queries", "Told", "labelled", "silent")

F64 = NDArray[np.float64]

Told = Callable[[str, float], None]
"""Receives the name of what is being done and the share of it that is, in [0, 1]."""

_TOLD_EVERY = 200


def silent(_stage: str, _done: float) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class Queries:
    """n requests before they are answered."""

    features: tuple[Features, ...]
    sources: NDArray[np.object_]
    """Shape (n,)."""

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """Some of them: their numbers, or a mask."""
        numbers = np.arange(len(self))[rows].tolist()
        return replace(self, features=tuple(self.features[row] for row in numbers), sources=self.sources[rows])


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """n requests with their outcomes on k arms; `nan` where an outcome was not revealed."""

    arms: tuple[str, ...]
    queries: Queries
    quality: F64
    """Shape (n, k), as `cost_usd`."""
    cost_usd: F64

    @classmethod
    def of_choices(
        cls, arms: tuple[str, ...], queries: Queries, choices: Sequence[tuple[int, int, float, float]]
    ) -> Self:
        """What bandit feedback reveals: of each choice the request's and the arm's number, quality and cost (USD)."""
        rows, chosen, qualities, costs = (np.array(column) for column in zip(*choices, strict=True))
        quality = np.full((len(rows), len(arms)), np.nan)
        cost_usd = quality.copy()
        every = np.arange(len(rows))
        quality[every, chosen], cost_usd[every, chosen] = qualities, costs
        return cls(arms=arms, queries=queries.take(rows), quality=quality, cost_usd=cost_usd)

    def __len__(self) -> int:
        return len(self.quality)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """Some of them: their numbers, or a mask."""
        return replace(
            self, queries=self.queries.take(rows), quality=self.quality[rows], cost_usd=self.cost_usd[rows]
        )

    def revealed(self, arm: int) -> NDArray[np.bool_]:
        """Of which requests this arm's outcome is known; shape (n,)."""
        return ~np.isnan(self.quality[:, arm])


def labelled(table: Table, *, tagged: bool = True, told: Told = silent) -> Labelled:
    """A table with the features of its prompts.

    Args:
        table: Complete.
        tagged: Whether the row's source is given to the router as a tag of the request.
        told: Told how far the extraction is.
    """
    features = []
    for i, (prompt, source) in enumerate(zip(table.prompts, table.sources, strict=True)):
        features.append(extract(Prompt(text=prompt, tags={"source": source} if tagged and source else {})))
        if i % _TOLD_EVERY == 0:
            told("features", i / len(table))
    told("features", 1.0)
    queries = Queries(features=tuple(features), sources=table.sources)
    return Labelled(arms=table.arms, queries=queries, quality=table.quality, cost_usd=table.cost_usd)
