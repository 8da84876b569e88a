"""Cold start: what a method earned over its first requests, exploration included, against the best fixed arm.

Nothing is known beforehand but a price list. The best fixed arm is the best one on the very requests that were asked,
which no method could know. Besides, the method is judged by the arms it would choose at the end, without exploring,
on rows that were not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from policies.simulation.methods import Method, Task
from policies.simulation.protocols.bandit import price, utilities
from policies.simulation.protocols.replay import replay, world_of
from policies.simulation.queries import Labelled, Told, silent
from policies.simulation.results import Figures, percentiles

__all__ = ("KNEE", "measure")

F64 = NDArray[np.float64]

KNEE = 0.5
"""Share of the price at which the cheapest arm and the best are equals: where the hint `balanced` stands."""

HELD_OUT = 1000
"""Rows on which the end is judged, at most."""


def measure(
    rows: Labelled,
    methods: Sequence[Method],
    *,
    seeds: int,
    requests: int,
    knee: bool = False,
    now_ns: Callable[[], int],
    told: Told = silent,
) -> dict[str, Figures]:
    """Figures by method: those that route under bandit feedback without a warm start.

    Args:
        rows: Complete.
        methods: Others are left out.
        seeds: Each is another order of arrival.
        requests: Asked; at most all but a tenth of the rows.
        knee: Whether money counts, at the price of `KNEE`; else quality alone.
        now_ns: A clock, for the time a choice takes.
        told: Told how far it is.
    """
    per_usd = KNEE * price(rows) if knee else 0.0
    worth, size = utilities(rows, per_usd), min(requests, round(0.9 * len(rows)))
    found: dict[str, Figures] = {}
    for method in methods:
        if method.prepare is None or method.begins == "warm":
            continue
        start, gains, ends, took_us = method.prepare(world_of(rows)), [], [], []
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(rows))
            asked, held = order[:size], order[size : size + HELD_OUT]
            router = start(Task(requests=size, per_usd=per_usd), np.random.default_rng((seed, 1)))
            done = replay(router, rows, asked, among=tuple(range(len(rows.arms))), now_ns=now_ns)
            gains.append(_gain(worth[asked], done.chosen))
            ends.append(_gain(worth[held], router.greedy(held, among=tuple(range(len(rows.arms))))))
            took_us.append(done.took_us)
            told(method.name, (seed + 1) / seeds)
        took = percentiles(np.concatenate(took_us))
        found[method.name] = Figures(
            p50_us=took["p50_us"],
            p99_us=took["p99_us"],
            gain_points=_mean(gains),
            gain_points_se=_se(gains),
            gain_at_end_points=_mean(ends),
            gain_at_end_points_se=_se(ends),
            gains_points=gains,
        )
    return found


def _gain(worth: F64, chosen: NDArray[np.int64]) -> float:
    """Points (hundredths) above the best fixed arm on the same rows."""
    return 100.0 * float(worth[np.arange(len(worth)), chosen].mean() - worth.mean(axis=0).max())


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _se(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0
