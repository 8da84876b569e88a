"""SLAs: tenants with different promises share pools of servers, under recorded arrivals.

Half of the table is what was learned from; the requests are drawn from the other half. Each asks for what its tenant
wants, and is routed with the queues as they stand. Ours is `policies.decide.decide` with qualities and costs as our
learner predicts them, times from the pools' cards and live queues, and a pacer for the tenant with a budget.

A promise is judged window by window, where it is feasible: where some fixed arm, or the oracle, kept it in that
window of that run. Requests of a window in which a feasible promise was broken earn nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from policies.simulation.choosers import Chooser, Scene, choosers
from policies.simulation.methods import Learner
from policies.simulation.promises import Outcome, Played, attained, earned, kept, tenant_figures, utility
from policies.simulation.queries import Labelled, Told, silent
from policies.simulation.queueing import serve
from policies.simulation.results import OURS, Figures, Sampled, figures, mean_over_seeds, percentiles
from policies.simulation.servers import pools
from policies.simulation.tables import Table
from policies.simulation.tenants import assigned, tenants
from policies.simulation.traces import Trace
from policies.types import Candidate

__all__ = ("measure",)


def measure(
    table: Table,
    rows: Labelled,
    trace: Trace,
    *,
    learner: Learner,
    seeds: int,
    now_ns: Callable[[], int],
    told: Told = silent,
) -> dict[str, Figures]:
    """Figures by router: ours, the fixed arms, simple rules, and the oracle, which knows every answer beforehand.

    Args:
        table: Complete; with the arms' times, or they are assumed.
        rows: The same with features.
        trace: Arrivals, merged.
        learner: Predicts qualities for our router.
        seeds: Each draws its own halves, requests, tenants and times.
        now_ns: A clock, for the time a choice takes.
        told: Told how far it is.
    """
    plays = []
    for seed in range(seeds):
        scene = _scene(table, rows, trace, learner, seed=seed)
        outcomes = {}
        for name, make in choosers(scene).items():
            outcomes[name] = _run(scene, make, seed=seed, now_ns=now_ns)
            told(name, (seed + 1) / seeds)
        references = [of.kept for name, of in outcomes.items() if name == "oracle" or name.startswith("fixed:")]
        feasible = {key: any(of[key] for of in references) for key in references[0]}
        plays.append(Played(scene=scene, outcomes=outcomes, feasible=feasible))
    sampled = {name: _sampled(plays, name) for name in plays[0].outcomes}
    return {
        name: figures(
            of,
            None if name == OURS else sampled[OURS],
            **percentiles(np.concatenate([played.outcomes[name].took_us for played in plays])),
            tenants=_by_tenant(plays, name),
        )
        for name, of in sampled.items()
    }


def _scene(table: Table, rows: Labelled, trace: Trace, learner: Learner, *, seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(rows))
    known, unknown = order[: len(order) // 2], order[len(order) // 2 :]
    asked = rng.choice(unknown, size=len(trace))
    quality, cost_usd = learner(rows.take(known), rng).predict(rows.queries.take(unknown))
    place = np.empty(len(rows), np.int64)
    place[unknown] = np.arange(len(unknown))
    idle = pools(table.take(known), trace)
    return Scene(
        trace=trace,
        pools=idle,
        tenants=tenants(table.take(known), idle, trace),
        tenant=assigned(trace, seed=seed),
        quality=rows.quality[asked],
        cost_usd=rows.cost_usd[asked],
        predicted_quality=quality[place[asked]],
        predicted_cost_usd=cost_usd[place[asked]],
    )


def _run(scene: Scene, make: Callable[[], Chooser], *, seed: int, now_ns: Callable[[], int]) -> Outcome:
    chooser, took_us = make(), np.zeros(len(scene.trace), np.float32)

    def choose(number: int, live: Sequence[Candidate]) -> int:
        began_ns = now_ns()
        arm = chooser.choose(number, live)
        took_us[number] = (now_ns() - began_ns) / 1e3
        return arm

    served = serve(scene.trace, scene.pools, choose, ended=chooser.ended, seed=seed)
    every = np.arange(len(scene.trace))
    quality, cost_usd = scene.quality[every, served.arm], scene.cost_usd[every, served.arm]
    return Outcome(
        utility=utility(scene, served),
        quality=quality,
        cost_usd=cost_usd,
        ttft_s=served.ttft_s,
        kept=kept(scene, quality=quality, cost_usd=cost_usd, ttft_s=served.ttft_s),
        took_us=took_us,
    )


def _sampled(plays: Sequence[Played], name: str) -> dict[str, Sampled]:
    own = [played.outcomes[name] for played in plays]
    by_seed = {
        "sla_attainment": [attained(played, name) for played in plays],
        "utility": [earned(played, name) for played in plays],
        "quality": [float(of.quality.mean()) for of in own],
        "cost_usd": [float(of.cost_usd.mean()) for of in own],
    }
    return {field: mean_over_seeds(values) for field, values in by_seed.items()}


def _by_tenant(plays: Sequence[Played], name: str) -> dict[str, dict[str, float]]:
    """Means over the seeds."""
    found = {}
    for number, tenant in enumerate(plays[0].scene.tenants):
        each = [tenant_figures(played, name, tenant=number) for played in plays]
        found[tenant.name] = {field: sum(of[field] for of in each) / len(each) for field in each[0]}
    return found
