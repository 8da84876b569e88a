"""One stretch of a stream: ask for each row in turn, reveal the outcome of the arm that was chosen, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.simulation.methods import Router, World
from policies.simulation.queries import Labelled

__all__ = ("Replayed", "replay", "world_of", "worth")

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """In the order asked."""

    chosen: I64
    """Arms."""
    took_us: NDArray[np.float32]
    """Microseconds that each choice took."""


def world_of(rows: Labelled, *, warm: Labelled | None = None) -> World:
    """The world of a table: its requests and its price list, and none of its outcomes."""
    usd = tuple(rows.cost_usd.mean(axis=0).tolist())
    return World(arms=rows.arms, queries=rows.queries, usd_per_answer=usd, warm=warm)


def replay(
    router: Router, rows: Labelled, order: I64, *, among: tuple[int, ...], now_ns: Callable[[], int]
) -> Replayed:
    """Stream the rows with these numbers.

    Args:
        router: Learns on the way.
        rows: All outcomes; only the chosen ones are passed on.
        order: Numbers of rows.
        among: Arms that may be chosen.
        now_ns: A clock.
    """
    chosen, took_us = np.empty(len(order), np.int64), np.empty(len(order), np.float32)
    for i, row in enumerate(order.tolist()):
        began_ns = now_ns()
        arm = router.choose(row, among=among)
        took_us[i] = (now_ns() - began_ns) / 1e3
        chosen[i] = arm
        router.learn(row, arm, quality=float(rows.quality[row, arm]), cost_usd=float(rows.cost_usd[row, arm]))
    return Replayed(chosen=chosen, took_us=took_us)


def worth(rows: Labelled, chosen: I64, *, per_usd: float = 0.0) -> tuple[float, float, float]:
    """Mean utility `quality - per_usd * cost`, mean quality and mean cost of one choice for each row."""
    every = np.arange(len(rows))
    quality, cost_usd = float(rows.quality[every, chosen].mean()), float(rows.cost_usd[every, chosen].mean())
    return quality - per_usd * cost_usd, quality, cost_usd
