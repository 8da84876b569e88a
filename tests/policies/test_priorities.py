"""The named hints mean what they say, and the policy behind them has a name of its own."""

from __future__ import annotations

import msgspec
import pytest

from policies.content import content_hash
from policies.objective import Weights
from policies.policy import Exploration, Policy
from policies.priorities import DEFAULT_POLICY, DEFAULT_PRIORITIES
from tests.policy_strategies import Told, candidate, decided, estimate, request

TOLD = {
    "full": estimate(quality=0.77, ttft_s=0.2, latency_s=4.0, cost_usd=1.1e-4),
    "remote": estimate(quality=0.70, ttft_s=0.3, latency_s=2.0, cost_usd=1e-5),
    "tiny": estimate(quality=0.50, ttft_s=0.1, latency_s=0.5, cost_usd=3e-5),
}
"""Each is the best at one thing."""


@pytest.mark.parametrize(("hint", "choice"), [("accuracy", "full"), ("cost", "remote"), ("speed", "tiny")])
def test_a_hint_gets_the_variant_that_is_best_at_it(hint: str, choice: str) -> None:
    candidates = tuple(candidate(name) for name in TOLD)
    weights = DEFAULT_PRIORITIES[hint]
    assert decided(request(weights=weights), candidates, estimator=Told(TOLD)).choice == choice


@pytest.mark.parametrize("hint", DEFAULT_PRIORITIES)
def test_equals_are_told_apart_by_what_was_not_asked_for(hint: str) -> None:
    worse = {"quality": {"quality": 0.4}, "cost": {"cost_usd": 2.0}, "time": {"latency_s": 2.0}}
    for changes in worse.values():
        told = {"tiny": estimate(**changes), "full": estimate()}
        candidates = tuple(candidate(name) for name in told)
        decision = decided(request(weights=DEFAULT_PRIORITIES[hint]), candidates, estimator=Told(told))
        assert decision.choice == "full"


def test_the_hash_names_the_content_and_nothing_else() -> None:
    assert DEFAULT_POLICY.hash == content_hash(DEFAULT_POLICY) == content_hash(DEFAULT_POLICY)
    assert content_hash(msgspec.structs.replace(DEFAULT_POLICY, hash="other")) == DEFAULT_POLICY.hash
    assert (
        content_hash(msgspec.structs.replace(DEFAULT_POLICY, exploration=Exploration(epsilon=0.06)))
        != DEFAULT_POLICY.hash
    )


def test_the_hash_does_not_depend_on_the_order_of_priorities() -> None:
    one, two = Weights(speed=1), Weights(cost=1)
    forth = Policy(hash="", priorities={"a": one, "b": two})
    back = Policy(hash="", priorities={"b": two, "a": one})
    assert content_hash(forth) == content_hash(back)
