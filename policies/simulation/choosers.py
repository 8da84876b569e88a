"""Routers for the SLA simulation: ours, which is the serving one, and rules of thumb."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.belief import of_estimates
from policies.decide import decide
from policies.estimators.card import CardEstimator
from policies.feasibility import breach
from policies.pacing import Pacer, choices
from policies.policy import Budget, Exploration, Formula, Policy
from policies.prices import NO_PRICES, Prices
from policies.priorities import DEFAULT_POLICY
from policies.simulation.results import OURS
from policies.simulation.tenants import Tenant
from policies.simulation.traces import Trace
from policies.stakes import stakes
from policies.types import Candidate, Estimate, RoutingRequest

__all__ = ("Chooser", "Scene", "choosers")

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What one seed plays: n arrivals, k arms."""

    trace: Trace
    pools: Sequence[Candidate]
    tenants: Sequence[Tenant]
    tenant: I64
    """Of each arrival; shape (n,)."""
    quality: F64
    """What each arm's answer would be worth; shape (n, k), as what follows."""
    cost_usd: F64
    predicted_quality: F64
    predicted_cost_usd: F64


class Chooser(Protocol):
    """One run of one router."""

    def choose(self, number: int, pools: Sequence[Candidate]) -> int:
        """The arm that answers this arrival, the pools being as they are."""
        ...

    def ended(self, number: int, arm: int) -> None:
        """The arrival has been answered by this arm."""
        ...


def choosers(scene: Scene) -> Mapping[str, Callable[[], Chooser]]:
    """Each router, to be begun afresh."""
    found: dict[str, Callable[[], Chooser]] = {
        OURS: lambda: _Deciding(scene, quality=scene.predicted_quality, cost_usd=scene.predicted_cost_usd),
        "cheapest-feasible": lambda: _Simple(scene, _cheapest_feasible),
        "load-blind": lambda: _LoadBlind(scene, _best_by_weights),
        "least-loaded": lambda: _Simple(scene, _soonest),
        "random": lambda: _Random(scene),
        "oracle": lambda: _Deciding(scene, quality=scene.quality, cost_usd=scene.cost_usd),
    }
    return found | {f"fixed:{pool.name}": _fixed(scene, arm) for arm, pool in enumerate(scene.pools)}


@dataclass
class _Predicting:
    """The card's times under the live load, with quality and cost as they are predicted for this request."""

    quality: Sequence[float]
    cost_usd: Sequence[float]

    def estimate(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> list[Estimate]:
        card = CardEstimator().estimate(request, candidates)
        return [
            msgspec.structs.replace(estimate, quality=quality, cost_usd=cost_usd)
            for estimate, quality, cost_usd in zip(card, self.quality, self.cost_usd, strict=True)
        ]


class _Deciding:
    """The decision that serves, with the budget of each tenant that was promised a mean cost."""

    def __init__(self, scene: Scene, *, quality: F64, cost_usd: F64) -> None:
        self._scene = scene
        self._quality, self._cost_usd = np.clip(quality, 0.0, 1.0).tolist(), np.maximum(cost_usd, 0.0).tolist()
        self._policy: Policy = msgspec.structs.replace(DEFAULT_POLICY, exploration=Exploration(epsilon=0.0))
        self._rng = np.random.default_rng(0)
        self._pacers = {
            number: Pacer(Budget(usd=tenant.limit), now_s=0.0)
            for number, tenant in enumerate(scene.tenants)
            if tenant.promise == "mean_cost_usd"
        }
        self._places = {pool.name: arm for arm, pool in enumerate(scene.pools)}

    def choose(self, number: int, pools: Sequence[Candidate]) -> int:
        whose = int(self._scene.tenant[number])
        prices, pacer = NO_PRICES, self._pacers.get(whose)
        if pacer is not None:
            pacer.admit(now_s=float(self._scene.trace.arrives_s[number]))
            prices = Prices(per_usd=pacer.price_per_usd, ceiling_usd=pacer.ceiling_usd)
        decision = decide(
            _request(self._scene, number),
            pools,
            self._policy,
            estimator=_Predicting(self._quality[number], self._cost_usd[number]),
            rng=self._rng,
            prices=prices,
        )
        if pacer is not None:
            pacer.foresee(*choices(decision))
        return self._places[decision.choice or pools[0].name]

    def ended(self, number: int, arm: int) -> None:
        pacer = self._pacers.get(int(self._scene.tenant[number]))
        if pacer is not None:
            pacer.charge(float(self._scene.cost_usd[number, arm]))


def _request(scene: Scene, number: int) -> RoutingRequest:
    tenant = scene.tenants[int(scene.tenant[number])]
    prompt_tokens = int(scene.trace.prompt_tokens[number])
    return RoutingRequest(objective=tenant.objective, prompt_tokens=prompt_tokens, tenant=tenant.name)


Rule = Callable[[RoutingRequest, Sequence[Estimate]], int]


@dataclass
class _Simple:
    """One rule over the same estimates that ours has."""

    scene: Scene
    rule: Rule

    def choose(self, number: int, pools: Sequence[Candidate]) -> int:
        request = _request(self.scene, number)
        quality = np.clip(self.scene.predicted_quality[number], 0.0, 1.0).tolist()
        estimator = _Predicting(quality, self.scene.predicted_cost_usd[number].tolist())
        return self.rule(request, estimator.estimate(request, pools))

    def ended(self, number: int, arm: int) -> None:
        """It keeps no budget."""


class _LoadBlind(_Simple):
    """A rule that does not see the queues, as most published routers do not."""

    def choose(self, number: int, pools: Sequence[Candidate]) -> int:  # noqa: ARG002
        return super().choose(number, self.scene.pools)


def _cheapest_feasible(request: RoutingRequest, estimates: Sequence[Estimate]) -> int:
    """The cheapest of those predicted to keep the request's limits; of none, the least violation."""
    excess = [0.0 if (b := breach(e, request.objective.limits)) is None else b[0] for e in estimates]
    return min(range(len(estimates)), key=lambda arm: (excess[arm], estimates[arm].cost_usd))


def _best_by_weights(request: RoutingRequest, estimates: Sequence[Estimate]) -> int:
    belief = of_estimates(estimates)
    weighed = stakes(
        estimates, belief, weights=request.objective.weights, formula=Formula.LINEAR, prices=NO_PRICES, prefer={}
    )
    return int(np.argmax(weighed.worth(belief.level)))


def _soonest(_request: RoutingRequest, estimates: Sequence[Estimate]) -> int:
    return int(np.argmin([estimate.ttft_s for estimate in estimates]))


class _Random(_Simple):
    """Any arm."""

    def __init__(self, scene: Scene) -> None:
        rng = np.random.default_rng(0)
        super().__init__(scene, lambda _, estimates: int(rng.integers(len(estimates))))


def _fixed(scene: Scene, arm: int) -> Callable[[], Chooser]:
    return lambda: _Simple(scene, lambda _request, _estimates: arm)
