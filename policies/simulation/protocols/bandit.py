"""Bandit feedback: what a method has learned after N requests of which it saw one arm's outcome each.

Rows are split by seed into a stream and held-out rows. Utility is `quality - price * cost`, the price being that at
which the cheapest and the best fixed arm are worth the same: where there is most to decide. A method is judged by the
arms it would choose, without exploring, on the held-out rows; the full-information router by those that our learner
chooses when all outcomes of the stream are revealed to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.simulation.methods import Learner, Method, Task
from policies.simulation.protocols.replay import replay, world_of, worth
from policies.simulation.queries import Labelled, Told, silent
from policies.simulation.results import OURS, Figures, Sampled, figures, mean_over_seeds, percentiles

__all__ = ("Split", "full_information", "measure", "price", "split", "utilities")

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

REQUESTS = 5000
"""Streamed, or half of a smaller table."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Numbers of the rows of one seed."""

    stream: I64
    """In the order in which they are asked."""
    held_out: I64


def split(rows: Labelled, *, seed: int, requests: int = REQUESTS) -> Split:
    """The rows of a seed, the same for every method."""
    order = np.random.default_rng(seed).permutation(len(rows))
    size = min(requests, len(rows) // 2)
    return Split(stream=order[:size], held_out=order[size:])


def price(rows: Labelled) -> float:
    """Quality a dollar is worth so that the cheapest fixed arm and the best are equals; 0 if they are the same."""
    quality, cost_usd = rows.quality.mean(axis=0), rows.cost_usd.mean(axis=0)
    cheapest, best = int(cost_usd.argmin()), int(quality.argmax())
    gap_usd = float(cost_usd[best] - cost_usd[cheapest])
    return max(0.0, float(quality[best] - quality[cheapest]) / gap_usd) if gap_usd > 0.0 else 0.0


def utilities(rows: Labelled, per_usd: float) -> F64:
    """What each arm's answer is worth; shape (n, k)."""
    worth: F64 = rows.quality - per_usd * rows.cost_usd
    return worth


def full_information(learner: Learner, rows: Labelled, of: Split, *, per_usd: float, seed: int) -> float:
    """Mean utility on the held-out rows of a router fitted on all outcomes of the stream."""
    held = rows.take(of.held_out)
    learned = learner(rows.take(of.stream), np.random.default_rng((seed, 2)))
    quality, cost_usd = learned.predict(held.queries)
    return worth(held, np.argmax(quality - per_usd * cost_usd, axis=1), per_usd=per_usd)[0]


def measure(
    rows: Labelled,
    methods: Sequence[Method],
    *,
    learner: Learner,
    seeds: int,
    requests: int = REQUESTS,
    now_ns: Callable[[], int],
    told: Told = silent,
) -> dict[str, Figures]:
    """Figures by method: the routers, all without a warm start, the fixed arms and the router with full information.

    Args:
        rows: Complete.
        methods: Those that cannot route under bandit feedback are left out.
        learner: Of the full-information router.
        seeds: Each deals its own stream.
        requests: Length of the stream.
        now_ns: A clock, for the time a choice takes.
        told: Told how far it is.
    """
    per_usd = price(rows)
    splits = [split(rows, seed=seed, requests=requests) for seed in range(seeds)]
    fixed, full = [], []
    for seed, of in enumerate(splits):
        fixed.append(float(utilities(rows.take(of.held_out), per_usd).mean(axis=0).max()))
        full.append(full_information(learner, rows, of, per_usd=per_usd, seed=seed))
        told("full-information", (seed + 1) / seeds)
    sampled, timings = {"full-information": _shares(full, fixed, full)}, {}
    for method in methods:
        if method.prepare is not None:
            judged, timings[method.name] = _runs(method, rows, splits, per_usd=per_usd, now_ns=now_ns, told=told)
            utility, quality, cost_usd = (list(column) for column in zip(*judged, strict=True))
            means = {"quality": mean_over_seeds(quality), "cost_usd": mean_over_seeds(cost_usd)}
            sampled[method.name] = _shares(utility, fixed, full) | means
    measured = {
        name: figures(of, None if name == OURS else sampled.get(OURS), **timings.get(name, {}))
        for name, of in sampled.items()
    }
    return measured | _fixed(rows, per_usd)


def _runs(
    method: Method,
    rows: Labelled,
    splits: Sequence[Split],
    *,
    per_usd: float,
    now_ns: Callable[[], int],
    told: Told,
) -> tuple[list[tuple[float, float, float]], dict[str, float]]:
    """Utility, quality and cost on the held-out rows by seed; and how long choices took."""
    if method.prepare is None:
        return [], {}
    start = method.prepare(world_of(rows))
    among, judged, took_us = tuple(range(len(rows.arms))), [], []
    for seed, of in enumerate(splits):
        router = start(Task(requests=len(of.stream), per_usd=per_usd), np.random.default_rng((seed, 1)))
        took_us.append(replay(router, rows, of.stream, among=among, now_ns=now_ns).took_us)
        chosen = router.greedy(of.held_out, among=among)
        judged.append(worth(rows.take(of.held_out), chosen, per_usd=per_usd))
        told(method.name, (seed + 1) / len(splits))
    return judged, percentiles(np.concatenate(took_us))


def _shares(utility: list[float], fixed: list[float], full: list[float]) -> dict[str, Sampled]:
    """Utility, and its share of what full information gains over the best fixed arm (a ratio of means over seeds).

    There is no share where full information itself does not surely gain.
    """
    own, best, most = mean_over_seeds(utility), mean_over_seeds(fixed), mean_over_seeds(full)
    if np.percentile(most.replicates - best.replicates, 2.5) <= 0.0:
        return {"utility": own}
    share = Sampled(
        value=(own.value - best.value) / (most.value - best.value),
        replicates=(own.replicates - best.replicates) / (most.replicates - best.replicates),
    )
    return {"utility": own, "share_of_full_information": share}


def _fixed(rows: Labelled, per_usd: float) -> dict[str, Figures]:
    """Each arm for every request."""
    every = ((arm, worth(rows, np.full(len(rows), i), per_usd=per_usd)) for i, arm in enumerate(rows.arms))
    return {f"fixed:{arm}": Figures(utility=u, quality=q, cost_usd=c) for arm, (u, q, c) in every}
