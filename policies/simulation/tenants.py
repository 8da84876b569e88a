"""Three tenants with three kinds of promises, and how a promise is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from policies.objective import Limits, Objective, Weights
from policies.simulation.tables import Table
from policies.simulation.traces import Trace
from policies.types import Candidate

__all__ = ("Tenant", "assigned", "tenants", "windows")

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

Promise = Literal["p95_ttft_s", "mean_quality", "mean_cost_usd"]

TTFT_FACTOR = 4.0
"""Support's limit, in times to first token of the slowest idle pool at a mean prompt."""
QUALITY_SHARE = 0.9
"""Legal's floor, of the mean quality of the best arm."""
COST_SHARE = 0.25
"""Batch's limit: so far from the mean cost of the cheapest arm to that of the dearest."""


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """Who asks, what for, and what was promised."""

    name: str
    weights: Weights
    promise: Promise
    limit: float
    """In the promise's unit; the mean quality is a floor, the others are ceilings."""
    window_s: float
    """The promise is judged over each such stretch of the trace."""

    @property
    def objective(self) -> Objective:
        """What each of its requests asks for. A mean cost is a budget, and no limit of one request."""
        limits = {
            "p95_ttft_s": Limits(ttft_s=self.limit),
            "mean_quality": Limits(min_quality=self.limit),
            "mean_cost_usd": Limits(),
        }
        return Objective(weights=self.weights, limits=limits[self.promise])

    def holds(self, *, ttft_s: F64, quality: F64, cost_usd: F64) -> bool:
        """Whether the promise was kept by the requests of one window, at least one."""
        if self.promise == "p95_ttft_s":
            return float(np.percentile(ttft_s, 95)) <= self.limit
        if self.promise == "mean_quality":
            return float(quality.mean()) >= self.limit
        return float(cost_usd.mean()) <= self.limit


def tenants(table: Table, pools: list[Candidate], trace: Trace) -> tuple[Tenant, ...]:
    """A support bot, a legal analyser and a batch job, with limits that are neither idle nor out of reach."""
    further_s = trace.prompt_tokens.mean() - np.array([pool.profile.ttft_prompt_tokens for pool in pools])
    speed = np.array([pool.profile.prefill_tokens_per_s for pool in pools])
    ttft_s = np.array([pool.profile.ttft_s for pool in pools]) + np.maximum(0.0, further_s) / speed
    costs = table.cost_usd.mean(axis=0)
    return (
        Tenant(
            name="support",
            weights=Weights(speed=0.4, cost=0.1, accuracy=0.5),
            promise="p95_ttft_s",
            limit=float(TTFT_FACTOR * ttft_s.max()),
            window_s=60.0,
        ),
        Tenant(
            name="legal",
            weights=Weights(speed=0.05, cost=0.05, accuracy=0.9),
            promise="mean_quality",
            limit=float(QUALITY_SHARE * table.quality.mean(axis=0).max()),
            window_s=300.0,
        ),
        Tenant(
            name="batch",
            weights=Weights(cost=0.3, accuracy=0.7),
            promise="mean_cost_usd",
            limit=float(costs.min() + COST_SHARE * np.ptp(costs)),
            window_s=300.0,
        ),
    )


def assigned(trace: Trace, *, seed: int) -> I64:
    """Which tenant each arrival belongs to; shape (n,).

    The first trace is shared by support (two thirds) and legal (a third), further ones are batch. A single trace is
    shared by all three: half, a fifth and the rest.
    """
    draw = np.random.default_rng((seed, 4)).random(len(trace))
    if trace.origin.max() == 0:
        return np.digitize(draw, (0.5, 0.7)).astype(np.int64)
    return np.where(trace.origin > 0, 2, np.digitize(draw, (2 / 3,))).astype(np.int64)


def windows(tenant: Tenant, arrives_s: F64) -> I64:
    """The window that each arrival falls in."""
    return (arrives_s // tenant.window_s).astype(np.int64)
