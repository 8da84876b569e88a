"""Budget: a stream of requests, only the chosen arm's outcome revealed, a mean cost to keep to.

The table is streamed in a seeded random order. Overspend is mean cost over budget, less 1. Fixed variants, their best
mix and the oracle need no stream: a fixed variant costs what it costs, the mix is the hull of the fixed variants at
the budget, the oracle chooses by the true outcomes at the one price that keeps the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.evaluation.hull import zero_router
from policies.simulation.methods import Method, Start, Task
from policies.simulation.protocols.replay import replay, world_of, worth
from policies.simulation.queries import Labelled, Told, silent
from policies.simulation.results import (
    OURS,
    BudgetFigures,
    Figures,
    Sampled,
    figures,
    mean_over_seeds,
    percentiles,
)

__all__ = ("PUBLISHED", "PUBLISHED_BUDGETS_USD", "measure", "mix", "oracle")

PUBLISHED: dict[float, float] = {
    8.3e-5: 0.813,
    2.35e-4: 0.859,
    6.6e-4: 0.898,
    1.9e-3: 0.917,
    5.3e-3: 0.924,
    1.5e-2: 0.929,
}
"""Quality by budget (USD a request) of ParetoBandit on its own test split, as published (2026)."""

PUBLISHED_ARMS = {"meta-llama/llama-3.1-8b-instruct", "mistralai/mistral-large-2512", "google/gemini-2.5-pro"}
"""On which they stand; for other arms they mean nothing."""

PUBLISHED_BUDGETS_USD = tuple(PUBLISHED)


def measure(
    rows: Labelled,
    methods: Sequence[Method],
    *,
    warm: Labelled | None,
    budgets_usd: Sequence[float],
    seeds: int,
    now_ns: Callable[[], int],
    told: Told = silent,
) -> dict[str, Figures]:
    """Figures by method: the routers, the fixed arms, their mix, the oracle and what ParetoBandit published.

    Args:
        rows: The stream, complete.
        methods: Those that cannot route under bandit feedback are left out.
        warm: Rows of another table, known beforehand.
        budgets_usd: Mean dollars a request, one run each. With one of them its figures are the method's; with several
            they stand in `budgets`, one by one.
        seeds: Each is another order.
        now_ns: A clock, for the time a choice takes.
        told: Told how far it is.
    """
    sampled: dict[str, list[dict[str, Sampled]]] = {}
    more: dict[str, dict[str, float]] = {}
    world = world_of(rows, warm=warm)
    for method in methods:
        if method.prepare is None:
            continue
        start, sampled[method.name], took_us = method.prepare(world), [], []
        for place, budget_usd in enumerate(budgets_usd):
            runs = []
            for seed in range(seeds):
                run = _run(rows, start, budget_usd, seed=seed, now_ns=now_ns)
                runs.append(run[:3])
                took_us.append(run[3])
                told(method.name, (place + (seed + 1) / seeds) / len(budgets_usd))
            sampled[method.name].append(_over_seeds(runs))
        more[method.name] = percentiles(np.concatenate(took_us))
    sampled |= _references(rows, budgets_usd)
    ours = sampled.get(OURS)
    measured = {
        name: _figures(of, None if name == OURS else ours, budgets_usd, **more.get(name, {}))
        for name, of in sampled.items()
    }
    if set(rows.arms) == PUBLISHED_ARMS and set(budgets_usd) <= set(PUBLISHED):
        published = [
            BudgetFigures(budget_usd=budget_usd, quality=PUBLISHED[budget_usd]) for budget_usd in budgets_usd
        ]
        measured["paretobandit-published"] = Figures(
            quality=published[0].quality if len(published) == 1 else None, budgets=published
        )
    return measured


def _run(
    rows: Labelled, start: Start, budget_usd: float, *, seed: int, now_ns: Callable[[], int]
) -> tuple[float, float, float, NDArray[np.float32]]:
    """Quality, cost and overspend of one stream, and how long its choices took."""
    order = np.random.default_rng(seed).permutation(len(rows))
    router = start(Task(requests=len(rows), budget_usd=budget_usd), np.random.default_rng((seed, 1)))
    done = replay(router, rows, order, among=tuple(range(len(rows.arms))), now_ns=now_ns)
    _, quality, cost_usd = worth(rows.take(order), done.chosen)
    return quality, cost_usd, cost_usd / budget_usd - 1.0, done.took_us


def _over_seeds(runs: Sequence[tuple[float, float, float]]) -> dict[str, Sampled]:
    qualities, costs, overspends = (list(column) for column in zip(*runs, strict=True))
    return {
        "quality": mean_over_seeds(qualities),
        "cost_usd": mean_over_seeds(costs),
        "overspend": mean_over_seeds(overspends),
        "overspend_max": Sampled(value=max(overspends)),
    }


def _references(rows: Labelled, budgets_usd: Sequence[float]) -> dict[str, list[dict[str, Sampled]]]:
    """What needs no stream."""
    found: dict[str, list[dict[str, Sampled]]] = {"oracle": [], "fixed-mix": []}
    for budget_usd in budgets_usd:
        found["oracle"].append(_known(*worth(rows, oracle(rows, budget_usd))[1:], budget_usd))
        found["fixed-mix"].append(_known(*mix(rows, budget_usd), budget_usd))
    for i, arm in enumerate(rows.arms):
        _, quality, cost_usd = worth(rows, np.full(len(rows), i))
        found[f"fixed:{arm}"] = [_known(quality, cost_usd, budget_usd) for budget_usd in budgets_usd]
    return found


def _known(quality: float, cost_usd: float, budget_usd: float) -> dict[str, Sampled]:
    overspend = cost_usd / budget_usd - 1.0
    of = {"quality": quality, "cost_usd": cost_usd, "overspend": overspend, "overspend_max": overspend}
    return {name: Sampled(value=value) for name, value in of.items()}


def _figures(
    of: list[dict[str, Sampled]], ours: list[dict[str, Sampled]] | None, budgets_usd: Sequence[float], **more: float
) -> Figures:
    single = [figures(each, ours[i] if ours else None) for i, each in enumerate(of)]
    budgets = [
        BudgetFigures(
            budget_usd=budget_usd,
            **{name: sampled.value for name, sampled in each.items()},
            ci95=figure.ci95,
            ours_above=figure.ours_above,
        )
        for budget_usd, each, figure in zip(budgets_usd, of, single, strict=True)
    ]
    whole = single[0] if len(single) == 1 else Figures()
    return msgspec.structs.replace(whole, budgets=budgets, **more)


def mix(rows: Labelled, budget_usd: float) -> tuple[float, float]:
    """Mean quality and cost of the best random mix of fixed variants within a budget; of the cheapest if none is."""
    hull = zero_router(rows.cost_usd, rows.quality)
    cost_usd = float(np.clip(budget_usd, hull.costs[0], hull.costs[-1]))
    return float(hull.value(cost_usd)), cost_usd


def oracle(rows: Labelled, budget_usd: float) -> NDArray[np.int64]:
    """The arm for each row, all outcomes known: `argmax(quality - price * cost)` at the least price that fits.

    Requests that are indifferent at that price take the dearer arm for as long as the budget lasts.
    """
    every = np.arange(len(rows))

    def choice(price: float) -> NDArray[np.int64]:
        chosen: NDArray[np.int64] = np.argmax(rows.quality - price * rows.cost_usd, axis=1)
        return chosen

    low, high = 1e-6, 1e12
    for _ in range(80):
        middle = float(np.sqrt(low * high))
        spent_usd = rows.cost_usd[every, choice(middle)].mean()
        low, high = (low, middle) if spent_usd <= budget_usd else (middle, high)
    chosen, dearer = choice(high), choice(low)
    extra_usd = rows.cost_usd[every, dearer] - rows.cost_usd[every, chosen]
    order = np.argsort(extra_usd)
    left_usd = budget_usd * len(rows) - rows.cost_usd[every, chosen].sum()
    affordable = order[np.cumsum(extra_usd[order]) <= left_usd]
    chosen[affordable] = dearer[affordable]
    return chosen
