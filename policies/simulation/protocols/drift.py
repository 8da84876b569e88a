"""Drift: how soon a method is near the best again after the world has changed under it.

Halfway through a stream, without a word to the method, the quality of an arm's answers is halved, or their cost is
tripled; or an arm that was not there before may now be chosen. It is the arm that the full-information router
chooses most. From then on the method is judged every hundred
requests by the arms it would choose, without exploring, on held-out rows of the changed world; the optimum it should
come near is a router fitted with full information on the changed stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from policies.simulation.methods import Learner, Method, Task
from policies.simulation.protocols.bandit import Split, full_information, price, split
from policies.simulation.protocols.replay import replay, world_of, worth
from policies.simulation.queries import Labelled, Told, silent

__all__ = (
    "CHECK_EVERY",
    "RECOVERY",
    "SCENARIOS",
    "Scenario",
    "changed",
    "gaps",
    "left",
    "measure",
    "recovered_after",
)

F64 = NDArray[np.float64]

Scenario = Literal["quality_halved", "price_tripled", "arm_added"]
SCENARIOS: tuple[Scenario, ...] = ("quality_halved", "price_tripled", "arm_added")

CHECK_EVERY = 100
RECOVERY = 1000
"""Requests in which a method should be back."""
NEAR = 0.02
"""Relative gap to the optimum that counts as near."""
HELD_OUT = 2000
"""Rows on which it is judged, at most."""


def changed(rows: Labelled, scenario: Scenario, arm: int) -> Labelled:
    """The world after the change."""
    quality, cost_usd = rows.quality.copy(), rows.cost_usd.copy()
    if scenario == "quality_halved":
        quality[:, arm] /= 2.0
    elif scenario == "price_tripled":
        cost_usd[:, arm] *= 3.0
    return replace(rows, quality=quality, cost_usd=cost_usd)


def gaps(
    rows: Labelled, method: Method, scenario: Scenario, *, learner: Learner, seed: int, requests: int
) -> list[float]:
    """Relative gap to the re-fitted optimum at every check after the change.

    Args:
        rows: Complete, before the change.
        method: One that routes under bandit feedback.
        scenario: What changes.
        learner: Of the full-information router.
        seed: Deals the stream.
        requests: Asked before the change; then `RECOVERY` more, or as many again in a smaller table.
    """
    if method.prepare is None:
        raise ValueError(f"{method.name} cannot route under bandit feedback")
    per_usd, of = price(rows), split(rows, seed=seed, requests=requests + RECOVERY)
    of = Split(stream=of.stream, held_out=of.held_out[:HELD_OUT])
    arm = _favourite(rows, of, learner, per_usd=per_usd, seed=seed)
    after = changed(rows, scenario, arm)
    optimum = full_information(learner, after, of, per_usd=per_usd, seed=seed)
    every = tuple(range(len(rows.arms)))
    before = tuple(a for a in every if a != arm) if scenario == "arm_added" else every
    start = method.prepare(world_of(rows))
    router = start(Task(requests=len(of.stream), per_usd=per_usd), np.random.default_rng((seed, 1)))
    change = max(len(of.stream) - RECOVERY, len(of.stream) // 2)
    replay(router, rows, of.stream[:change], among=before, now_ns=_no_clock)
    found = []
    for begin in range(change, len(of.stream), CHECK_EVERY):
        replay(router, after, of.stream[begin : begin + CHECK_EVERY], among=every, now_ns=_no_clock)
        utility = worth(after.take(of.held_out), router.greedy(of.held_out, among=every), per_usd=per_usd)[0]
        found.append((optimum - utility) / abs(optimum))
    return found


def recovered_after(found: Sequence[float]) -> int | None:
    """Requests until a check that is near the optimum, and from which on the mean gap stays so; None if none is."""
    for i, gap in enumerate(found):
        if gap <= NEAR and sum(found[i:]) <= NEAR * len(found[i:]):
            return (i + 1) * CHECK_EVERY
    return None


def left(found: Sequence[float]) -> float:
    """The gap at the end: the mean of the last three checks."""
    last = found[-3:]
    return sum(last) / len(last)


def measure(
    rows: Labelled, methods: Sequence[Method], *, learner: Learner, seeds: int, requests: int, told: Told = silent
) -> dict[str, dict[Scenario, list[list[float]]]]:
    """`gaps` of every method that routes under bandit feedback, by scenario and seed."""
    found: dict[str, dict[Scenario, list[list[float]]]] = {}
    for method in methods:
        if method.prepare is None:
            continue
        found[method.name] = {scenario: [] for scenario in SCENARIOS}
        for place, scenario in enumerate(SCENARIOS):
            for seed in range(seeds):
                gap = gaps(rows, method, scenario, learner=learner, seed=seed, requests=requests)
                found[method.name][scenario].append(gap)
                told(f"{method.name}, drift", (place + (seed + 1) / seeds) / len(SCENARIOS))
    return found


def _favourite(rows: Labelled, of: Split, learner: Learner, *, per_usd: float, seed: int) -> int:
    """The arm that a full-information router chooses most."""
    predictor = learner(rows.take(of.stream), np.random.default_rng((seed, 2)))
    quality, cost_usd = predictor.predict(rows.queries.take(of.held_out))
    chosen = np.argmax(quality - per_usd * cost_usd, axis=1)
    return int(np.bincount(chosen, minlength=len(rows.arms)).argmax())


def _no_clock() -> int:
    return 0
