"""Budget: a stream of requests, only the chosen arm's outcome revealed, a mean cost to keep to.

The table is streamed in a seeded random order. Overspend is mean cost over budget, less 1. Fixed variants, their best
mix and the oracle need no stream: a fixed variant costs what it costs, the mix is the hull of the fixed variants at
the budget, the oracle chooses by the true outcomes at the one price that keeps the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.evaluation.hull import zero_router
from policies.simulation.methods import Method, Start, Task, World
from policies.simulation.queries import Labelled, Told, silent

__all__ = ("PUBLISHED", "PUBLISHED_BUDGETS_USD", "Run", "mix", "oracle", "stream", "streams")

F64 = NDArray[np.float64]

PUBLISHED: dict[float, float] = {
    8.3e-5: 0.813,
    2.35e-4: 0.859,
    6.6e-4: 0.898,
    1.9e-3: 0.917,
    5.3e-3: 0.924,
    1.5e-2: 0.929,
}
"""Quality by budget (USD a request) of ParetoBandit on its own test split, as published (2026)."""

PUBLISHED_BUDGETS_USD = tuple(PUBLISHED)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One stream."""

    quality: float
    cost_usd: float
    """Means a request."""
    choose_us: NDArray[np.float32]
    """Microseconds that each choice took; shape (n,)."""
    shares: F64
    """Of the requests, by arm; shape (k,)."""


def stream(rows: Labelled, start: Start, task: Task, *, seed: int, now_ns: Callable[[], int]) -> Run:
    """Stream all rows once.

    Args:
        rows: The outcomes, all revealed; only the chosen ones are passed on.
        start: Of the method, prepared for a world whose queries are these rows.
        task: With its budget.
        seed: Of the order, the same for every method, and of the method's own generator.
        now_ns: A clock, for the time a choice takes.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    router = start(task, np.random.default_rng((seed, 1)))
    among = tuple(range(len(rows.arms)))
    qualities, costs = rows.quality.tolist(), rows.cost_usd.tolist()
    chosen, took = np.empty(len(rows), np.int64), np.empty(len(rows), np.float32)
    for i, row in enumerate(order.tolist()):
        began_ns = now_ns()
        arm = router.choose(row, among=among)
        took[i] = (now_ns() - began_ns) / 1e3
        chosen[row] = arm
        router.learn(row, arm, quality=qualities[row][arm], cost_usd=costs[row][arm])
    every = np.arange(len(rows))
    return Run(
        quality=float(rows.quality[every, chosen].mean()),
        cost_usd=float(rows.cost_usd[every, chosen].mean()),
        choose_us=took,
        shares=np.bincount(chosen, minlength=len(among)) / len(rows),
    )


def streams(
    rows: Labelled,
    methods: Sequence[Method],
    *,
    warm: Labelled | None,
    budgets_usd: Sequence[float],
    seeds: int,
    now_ns: Callable[[], int],
    told: Told = silent,
) -> Mapping[str, list[list[Run]]]:
    """Every method that can route under bandit feedback, at every budget, for every seed: `[name][budget][seed]`."""
    world = World(arms=rows.arms, queries=rows.queries, warm=warm)
    runs: dict[str, list[list[Run]]] = {}
    for method in methods:
        if method.prepare is None:
            continue
        start = method.prepare(world)
        runs[method.name] = []
        for place, budget_usd in enumerate(budgets_usd):
            task = Task(requests=len(rows), budget_usd=budget_usd)
            done = []
            for seed in range(seeds):
                done.append(stream(rows, start, task, seed=seed, now_ns=now_ns))
                told(method.name, (place + (seed + 1) / seeds) / len(budgets_usd))
            runs[method.name].append(done)
    return runs


def mix(rows: Labelled, budget_usd: float) -> tuple[float, float]:
    """Mean quality and cost of the best random mix of fixed variants within a budget; of the cheapest if none is."""
    hull = zero_router(rows.cost_usd, rows.quality)
    cost_usd = float(np.clip(budget_usd, hull.costs[0], hull.costs[-1]))
    return float(hull.value(cost_usd)), cost_usd


def oracle(rows: Labelled, budget_usd: float) -> NDArray[np.int64]:
    """The arm for each row, all outcomes known: `argmax(quality - price * cost)` at the least price that fits."""
    low, high = 1e-6, 1e12

    def choice(price: float) -> NDArray[np.int64]:
        chosen: NDArray[np.int64] = np.argmax(rows.quality - price * rows.cost_usd, axis=1)
        return chosen

    for _ in range(80):
        middle = float(np.sqrt(low * high))
        spent = rows.cost_usd[np.arange(len(rows)), choice(middle)].mean()
        low, high = (low, middle) if spent <= budget_usd else (middle, high)
    return choice(high)
