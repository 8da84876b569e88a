"""Random requests, candidates and policies, as wild as their types allow, and estimators that do as told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from hypothesis import strategies as st

from policies.decide import decide
from policies.estimators.base import Estimator
from policies.estimators.card import CardEstimator
from policies.objective import Limits, Objective, Weights
from policies.policy import Exploration, ExplorationMethod, Formula, Policy
from policies.prices import NO_PRICES, Prices
from policies.types import Candidate, CandidateState, Decision, Estimate, Profile, RoutingRequest

GREEDY = Policy(hash="greedy", priorities={}, exploration=Exploration(epsilon=0.0, scale=0.0, first=0))
"""Takes what it believes to be the best."""

RATIO = Policy(
    hash="ratio",
    priorities={},
    formula=Formula.RATIO,
    exploration=Exploration(method=ExplorationMethod.EPSILON_SOFTMAX, epsilon=0.0),
)
"""As documents of schema version 1 decide, without exploration."""

NAMES = ("full", "quantized", "distilled", "pruned", "remote", "tiny", "draft", "spare")
SKILLS = ("json_schema", "logprobs", "tools")

ratios = st.floats(0, 1)
seconds = st.floats(0, 1e4)
costs = st.floats(0, 10)
subsets = st.frozensets(st.sampled_from(NAMES))
skills = st.frozensets(st.sampled_from(SKILLS), max_size=1)

estimates = st.builds(
    Estimate,
    quality=ratios,
    ttft_s=seconds,
    tpot_s=seconds,
    completion_tokens=st.floats(0, 1e6),
    latency_s=seconds,
    cost_usd=costs,
)
shares = st.just(0.0) | st.floats(1e-6, 1)
weights = st.tuples(shares, shares, shares).filter(any).map(lambda w: Weights(speed=w[0], cost=w[1], accuracy=w[2]))
bounds = st.floats(1e-3, 1e4)
limits = st.builds(
    Limits,
    ttft_s=st.none() | bounds,
    latency_s=st.none() | bounds,
    max_cost_usd=st.none() | st.floats(1e-6, 10),
    min_quality=st.none() | ratios,
)
profiles = st.builds(
    Profile,
    quality=ratios,
    ttft_s=seconds,
    tpot_s=seconds,
    tpot_slope_s=st.floats(0, 1),
    prefill_tokens_per_s=st.floats(0.1, 1e6),
    completion_tokens=st.floats(1, 1e5),
    cold_start_s=seconds,
)


def candidate(name: str = "quantized", **changes: object) -> Candidate:
    """A warm candidate in good order, but for the changes."""
    profile = Profile(quality=0.7, ttft_s=0.1, tpot_s=0.01, cold_start_s=5.0)
    plain = {"state": CandidateState.WARM, "profile": profile, "context_tokens": 2048, "compute_per_s_usd": 1e-5}
    return Candidate(name=name, **(plain | changes))  # type: ignore[arg-type]


def request(**changes: object) -> RoutingRequest:
    """A balanced request without limits, but for the changes; `limits` and `weights` go into the objective."""
    objective = Objective(
        weights=changes.pop("weights", Weights(speed=1, cost=1, accuracy=1)),  # type: ignore[arg-type]
        limits=changes.pop("limits", Limits()),  # type: ignore[arg-type]
    )
    return RoutingRequest(**({"objective": objective, "prompt_tokens": 60} | changes))  # type: ignore[arg-type]


requests = st.builds(
    request,
    weights=weights,
    limits=limits,
    prompt_tokens=st.integers(0, 100_000),
    min_prompt_tokens=st.integers(0, 3000),
    max_completion_tokens=st.none() | st.integers(1, 3000),
    needs=skills,
    allowed=st.none() | subsets,
    failed=subsets,
)
policies = st.builds(
    Policy,
    hash=st.just("test"),
    priorities=st.just({}),
    formula=st.sampled_from(Formula),
    exploration=st.builds(
        Exploration,
        method=st.sampled_from(ExplorationMethod),
        epsilon=ratios,
        temperature=st.just(0.0) | st.floats(1e-300, 1e3),
        draws=st.integers(16, 64),
        scale=st.floats(0, 10),
        caution=st.floats(0, 10),
    ),
    fallback=st.permutations(NAMES).map(lambda order: tuple(order[:3])),
)


@st.composite
def candidate_sets(
    draw: Callable[..., object], *, min_size: int = 0, max_size: int = len(NAMES)
) -> tuple[Candidate, ...]:
    """Candidates with distinct names, in any state and under any load."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=min_size, max_size=max_size))
    one = st.fixed_dictionaries(
        {
            "state": st.sampled_from(CandidateState),
            "profile": profiles,
            "context_tokens": st.integers(1, 4096),
            "capabilities": st.frozensets(st.sampled_from(SKILLS)),
            "queued": st.integers(0, 1000),
            "running": st.integers(0, 16),
            "max_running": st.integers(1, 16),
            "starts_in_s": st.none() | seconds,
            "compute_per_s_usd": st.floats(0, 1),
        }
    )
    return tuple(candidate(name, **draw(one)) for name in names)  # type: ignore[attr-defined, arg-type]


class Told:
    """An estimator that gives the estimates it was told, and raises for a name it was told nothing of."""

    def __init__(self, told: Mapping[str, Estimate]) -> None:
        self._told = told

    def estimate(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> list[Estimate]:
        return [self._told[candidate.name] for candidate in candidates]


def estimate(**changes: float) -> Estimate:
    """An ordinary estimate, but for the changes."""
    plain = {
        "quality": 0.5,
        "ttft_s": 0.1,
        "tpot_s": 0.01,
        "completion_tokens": 10.0,
        "latency_s": 1.0,
        "cost_usd": 1.0,
    }
    return Estimate(**(plain | changes))


def decided(
    request: RoutingRequest,
    candidates: tuple[Candidate, ...],
    policy: Policy | None = None,
    *,
    estimator: Estimator | None = None,
    seed: int = 0,
    prices: Prices = NO_PRICES,
) -> Decision:
    """Decide with a fresh seeded generator; without a policy the best is taken for certain."""
    policy = policy or GREEDY
    rng = np.random.default_rng(seed)
    return decide(request, candidates, policy, estimator=estimator or CardEstimator(), rng=rng, prices=prices)
