"""Probabilities are exact, and draws follow them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.exploration import epsilon_softmax, sample
from policies.policy import Exploration, Policy
from policies.types import CandidateState
from tests.policy_strategies import Told, candidate, decided, estimate, request

choices = st.lists(st.tuples(st.floats(-10, 10), st.booleans()), min_size=1, max_size=8)
temperatures = st.just(0.0) | st.floats(5e-324, 1e6)


@given(choices, st.floats(0, 1), temperatures)
def test_every_explorable_candidate_has_its_share_of_the_uniform_part(
    choices: list[tuple[float, bool]], epsilon: float, temperature: float
) -> None:
    utilities, explorable = zip(*choices, strict=True)
    probabilities = epsilon_softmax(utilities, epsilon=epsilon, temperature=temperature, explorable=explorable)
    assert math.fsum(probabilities) == pytest.approx(1.0, abs=1e-12)
    for probability, utility, may in zip(probabilities, utilities, explorable, strict=True):
        if may:
            assert probability >= epsilon / sum(explorable)
        elif utility < max(utilities):
            assert probability == 0.0


@given(choices, st.floats(0, 1), temperatures)
def test_a_better_explorable_candidate_is_never_less_likely(
    choices: list[tuple[float, bool]], epsilon: float, temperature: float
) -> None:
    utilities = [utility for utility, _ in choices]
    probabilities = epsilon_softmax(
        utilities, epsilon=epsilon, temperature=temperature, explorable=[True] * len(utilities)
    )
    ranked = sorted(zip(utilities, probabilities, strict=True))
    assert all(low <= high + 1e-15 for (_, low), (_, high) in itertools.pairwise(ranked))


def test_without_temperature_the_best_share_alike() -> None:
    probabilities = epsilon_softmax([0.5, 0.2, 0.5], epsilon=0.3, temperature=0.0, explorable=[True] * 3)
    assert probabilities == pytest.approx([0.45, 0.1, 0.45])


def test_softmax_weighs_by_utility_over_temperature() -> None:
    low, high = epsilon_softmax([0.0, 1.0], epsilon=0.0, temperature=0.5, explorable=[True, True])
    assert high / low == pytest.approx(math.exp(2.0))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8).filter(any), st.integers(0, 2**32))
def test_what_has_no_probability_is_never_drawn(shares: list[float], seed: int) -> None:
    total = math.fsum(shares)
    probabilities = [share / total for share in shares]
    rng = np.random.default_rng(seed)
    assert all(probabilities[sample(probabilities, rng)] > 0.0 for _ in range(20))


def test_rounding_at_the_end_of_the_scale_still_draws_something_possible() -> None:
    class Top(np.random.Generator):
        def random(self, *args: object, **kwargs: object) -> float:  # type: ignore[override]
            return 1.0 - 2.0**-53

    assert sample([0.5, 0.5 - 1e-9, 0.0], Top(np.random.PCG64(0))) == 1


def test_choices_come_as_often_as_their_logged_propensities_say() -> None:
    """A false alarm for one seed in a million: Hoeffding's bound for each of three candidates, both sides."""
    draws, false_alarms = 20_000, 1e-6
    tolerance = math.sqrt(math.log(2 * 3 / false_alarms) / (2 * draws))
    told = {"full": estimate(quality=0.9), "quantized": estimate(quality=0.7), "tiny": estimate(quality=0.2)}
    candidates = tuple(candidate(name) for name in told)
    policy = Policy(hash="p", priorities={}, exploration=Exploration(epsilon=0.2, temperature=0.1))
    decisions = [decided(request(), candidates, policy, estimator=Told(told), seed=seed) for seed in range(draws)]
    propensities = decisions[0].propensities
    assert min(propensities.values()) >= 0.2 / 3
    for name, propensity in propensities.items():
        share = sum(decision.choice == name for decision in decisions) / draws
        assert abs(share - propensity) < tolerance
    assert sum(d.explored for d in decisions) / draws == pytest.approx(1 - propensities["full"], abs=tolerance)


@pytest.mark.parametrize("state", [CandidateState.COLD, CandidateState.LOADING])
def test_a_sleeping_variant_is_chosen_on_merit_or_not_at_all(state: CandidateState) -> None:
    policy = Policy(hash="p", priorities={}, exploration=Exploration(epsilon=0.5, temperature=1.0))
    candidates = (candidate("full", state=state), candidate("quantized"), candidate("tiny"))
    told = {"full": estimate(quality=0.4), "quantized": estimate(), "tiny": estimate()}
    assert decided(request(), candidates, policy, estimator=Told(told)).propensities["full"] == 0.0
    told["full"] = estimate(quality=0.6)
    assert 0.0 < decided(request(), candidates, policy, estimator=Told(told)).propensities["full"] <= 0.5
