"""The seam between the protocols and what they compare: our method, and every baseline, is a `Method`.

A router never holds outcomes that were not revealed to it: it is given features, and told what it chose came to. With
full information a learner is given whole rows and predicts others; under bandit feedback a router is asked, answers
with one arm, and is told that arm's outcome alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from policies.simulation.queries import Labelled, Queries

__all__ = ("Learner", "Method", "Predictor", "Router", "Start", "Task", "World")

F64 = NDArray[np.float64]


class Predictor(Protocol):
    """What a learner has learned."""

    def predict(self, queries: Queries) -> tuple[F64, F64]:
        """Expected quality and cost (USD) of every arm; shapes (n, k)."""
        ...


Learner = Callable[[Labelled, np.random.Generator], Predictor]
"""Learns from rows whose outcomes are revealed, all of them or one arm's each (then the others are `nan`)."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What a router is given once, before any run."""

    arms: tuple[str, ...]
    queries: Queries
    """All requests that may be asked; of one that was not asked yet nothing may be used."""
    usd_per_answer: tuple[float, ...]
    """Mean price of an arm's answer, by its price list."""
    warm: Labelled | None = None
    """Rows of another table, all of whose outcomes are known beforehand."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one run is for."""

    requests: int
    """How many will be asked."""
    budget_usd: float | None = None
    """Mean dollars a request may cost over the run; the dearest quality within them is sought."""
    per_usd: float = 0.0
    """Quality that a dollar is worth, where there is no budget: `quality - per_usd * cost` is sought."""


class Router(Protocol):
    """One run of a method. Mutable."""

    def choose(self, row: int, *, among: tuple[int, ...]) -> int:
        """The arm that answers this request of the world's queries, one of those given."""
        ...

    def learn(self, row: int, arm: int, *, quality: float, cost_usd: float) -> None:
        """What the chosen arm made of it."""
        ...

    def greedy(self, rows: NDArray[np.int64], *, among: tuple[int, ...]) -> NDArray[np.int64]:
        """The arms it would choose now without exploring or spending; shape (len(rows),)."""
        ...


Start = Callable[[Task, np.random.Generator], Router]
"""Begins a run; as cheap as a method can make it, for it is called for every seed and budget."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A named way to route, with what it is able to do; a protocol takes those that can."""

    name: str
    learner: Learner | None = None
    """Full information."""
    prepare: Callable[[World], Start] | None = None
    """Bandit feedback: fits what is known beforehand, once."""
    begins: Literal["anyhow", "warm"] = "anyhow"
    """`warm` cannot do without a warm table."""
