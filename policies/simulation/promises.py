"""Judging a run of tenants: what each request was worth, which promises were kept, and what was earned by that.

Utility is that of the tenant's weights, `accuracy * quality + cost * least cost / cost + speed * least latency /
latency`, the least being over the arms for that request, on an idle pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.simulation.choosers import Scene
from policies.simulation.queueing import Served
from policies.simulation.tenants import windows
from policies.utility import shares

__all__ = ("Kept", "Outcome", "Played", "attained", "earned", "kept", "tenant_figures", "utility")

F64 = NDArray[np.float64]

Kept = Mapping[tuple[int, int], bool]
"""Whether a promise was kept, by tenant and window."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run of one router."""

    utility: F64
    """Of each request."""
    quality: F64
    cost_usd: F64
    ttft_s: F64
    kept: Kept
    took_us: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Played:
    """What every router made of one scene."""

    scene: Scene
    outcomes: Mapping[str, Outcome]
    feasible: Kept
    """Whether the promise could have been kept: some fixed arm, or the oracle, kept it there."""


def utility(scene: Scene, served: Served) -> F64:
    """What each answer was worth to its tenant; shape (n,)."""
    every = np.arange(len(scene.trace))
    weights = np.array([shares(tenant.weights) for tenant in scene.tenants])[scene.tenant]
    quality, cost_usd = scene.quality[every, served.arm], scene.cost_usd[every, served.arm]
    cheapness = np.minimum(1.0, scene.cost_usd.min(axis=1) / np.maximum(cost_usd, 1e-12))
    speed = np.minimum(1.0, _idle_latency_s(scene).min(axis=1) / np.maximum(served.latency_s, 1e-9))
    worth: F64 = weights[:, 0] * quality + weights[:, 1] * cheapness + weights[:, 2] * speed
    return worth


def _idle_latency_s(scene: Scene) -> F64:
    """Of each arrival on each arm, if nothing else ran and nothing varied; shape (n, k)."""
    mean_tokens = scene.trace.completion_tokens.mean()
    columns = []
    for pool in scene.pools:
        of = pool.profile
        further_s = (scene.trace.prompt_tokens - of.ttft_prompt_tokens) / of.prefill_tokens_per_s
        tokens = scene.trace.completion_tokens * of.completion_tokens / mean_tokens
        reading_s = np.maximum(of.ttft_s + further_s, of.ttft_s * 0.1)
        columns.append(reading_s + np.maximum(0.0, tokens - 1.0) * of.tpot_s)
    return np.column_stack(columns)


def _groups(scene: Scene) -> Mapping[tuple[int, int], NDArray[np.int64]]:
    """Arrivals of each tenant and window."""
    found: dict[tuple[int, int], NDArray[np.int64]] = {}
    for number, tenant in enumerate(scene.tenants):
        own = np.flatnonzero(scene.tenant == number)
        window = windows(tenant, scene.trace.arrives_s[own])
        found |= {(number, int(w)): own[window == w] for w in np.unique(window)}
    return found


def kept(scene: Scene, *, quality: F64, cost_usd: F64, ttft_s: F64) -> Kept:
    """Judge every window of every tenant that had requests in it; arrays of shape (n,)."""
    return {
        (number, window): scene.tenants[number].holds(
            ttft_s=ttft_s[own], quality=quality[own], cost_usd=cost_usd[own]
        )
        for (number, window), own in _groups(scene).items()
    }


def attained(played: Played, name: str, *, tenant: int | None = None) -> float:
    """Share of the feasible windows in which the promise was kept; 1 where none was feasible."""
    of = played.outcomes[name]
    judged = [of.kept[key] for key, may in played.feasible.items() if may and tenant in (None, key[0])]
    return sum(judged) / len(judged) if judged else 1.0


def earned(played: Played, name: str) -> float:
    """Mean utility; requests of a window whose promise was broken, though it could be kept, earn nothing."""
    of = played.outcomes[name]
    worth = of.utility.copy()
    for key, own in _groups(played.scene).items():
        if played.feasible[key] and not of.kept[key]:
            worth[own] = 0.0
    return float(worth.mean())


def tenant_figures(played: Played, name: str, *, tenant: int) -> dict[str, float]:
    """One tenant's figures."""
    of, own = played.outcomes[name], played.scene.tenant == tenant
    here = [may for (whose, _), may in played.feasible.items() if whose == tenant]
    return {
        "sla_attainment": attained(played, name, tenant=tenant),
        "windows": float(len(here)),
        "feasible_windows": float(sum(here)),
        "limit": played.scene.tenants[tenant].limit,
        "utility": float(of.utility[own].mean()),
        "quality": float(of.quality[own].mean()),
        "cost_usd": float(of.cost_usd[own].mean()),
        "p95_ttft_s": float(np.percentile(of.ttft_s[own], 95)),
    }
