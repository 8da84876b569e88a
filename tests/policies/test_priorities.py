"""The named hints mean what they say, and the policy behind them has a name of its own."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from policies.content import content_hash
from policies.objective import Weights
from policies.policy import Exploration, Policy
from policies.priorities import DEFAULT_POLICY, DEFAULT_PRIORITIES
from policies.types import Estimate
from tests.policy_strategies import NAMES, Told, candidate, decided, estimate, request

TOLD = {
    "full": estimate(quality=0.77, latency_s=4.0, cost_usd=1.1e-4),
    "remote": estimate(quality=0.70, latency_s=2.0, cost_usd=1e-5),
    "tiny": estimate(quality=0.695, latency_s=0.5, cost_usd=3e-5),
    "draft": estimate(quality=0.50, latency_s=0.1, cost_usd=1e-6),
}
"""Each but the last is the best at one thing among those that keep 90 % of the quality."""

costs = st.integers(1, 1000).map(lambda thousandths: thousandths / 1e3)
worlds = st.lists(
    st.builds(estimate, quality=st.floats(0, 1), cost_usd=costs, latency_s=costs), min_size=1, max_size=8
)


def chosen(hint: str, given: list[Estimate]) -> Estimate:
    told = dict(zip(NAMES, given, strict=False))
    candidates = tuple(candidate(name) for name in told)
    decision = decided(request(weights=DEFAULT_PRIORITIES[hint]), candidates, estimator=Told(told))
    return told[decision.choice or ""]


@pytest.mark.parametrize(("hint", "choice"), [("accuracy", "full"), ("cost", "remote"), ("speed", "tiny")])
def test_a_hint_gets_the_variant_that_is_best_at_it(hint: str, choice: str) -> None:
    assert chosen(hint, list(TOLD.values())) == TOLD[choice]


@given(worlds)
def test_accuracy_stays_within_a_fifth_of_a_point_of_the_best(given: list[Estimate]) -> None:
    assert chosen("accuracy", given).quality >= max(e.quality for e in given) - 0.002 - 1e-9


@given(worlds, st.sampled_from([("cost", "cost_usd", "latency_s"), ("speed", "latency_s", "cost_usd")]))
def test_cost_and_speed_take_the_least_that_keeps_nine_tenths_of_the_best(
    given: list[Estimate], of: tuple[str, str, str]
) -> None:
    hint, figure, other = of
    given = [msgspec.structs.replace(e, **{other: 1.0}) for e in given]
    best, worst = max(e.quality for e in given), min(e.quality for e in given)
    taken = chosen(hint, given)
    # The price is a twentieth of the chord's slope: so much of the spread is given up for it at most.
    assert taken.quality >= 0.9 * best - 0.05 * max(0.02, best - worst) - 1e-9
    keeping = [getattr(e, figure) for e in given if e.quality >= 0.9 * best]
    assert getattr(taken, figure) <= min(keeping)


def test_balanced_sits_at_the_knee() -> None:
    """Half of the chord's slope is paid for quality: here .1 for half of the money between the two ends."""

    def between(quality: float) -> Estimate:
        ends = [estimate(quality=0.5, cost_usd=1.0), estimate(quality=0.9, cost_usd=2.0)]
        return chosen("balanced", [*ends, estimate(quality=quality, cost_usd=1.5)])

    assert between(0.81).quality == 0.81, "the last .09 would cost half of the money, worth .10"
    assert between(0.79).quality == 0.9


@given(st.floats(0.01, 0.99), st.floats(0.0, 1.0))
def test_balanced_takes_a_variant_above_the_chord_only(cost_usd: float, quality: float) -> None:
    assume(abs(quality - cost_usd) > 1e-6)
    ends = [estimate(quality=0.0, cost_usd=0.0), estimate(quality=1.0, cost_usd=1.0)]
    taken = chosen("balanced", [*ends, estimate(quality=quality, cost_usd=cost_usd)])
    assert taken.quality in (1.0, quality)
    if taken.quality == quality:
        assert quality > cost_usd


def test_balanced_does_not_pay_29_times_the_price_for_a_point() -> None:
    """The model 0.9 points below the best at 1/29 of its price, which shares of ratios never chose."""
    given = [
        estimate(quality=0.793, cost_usd=2.9e-5),
        estimate(quality=0.923, cost_usd=5.3e-4),
        estimate(quality=0.932, cost_usd=1.5e-2),
    ]
    assert chosen("balanced", given) == given[1]
    assert chosen("accuracy", given) == given[2]
    assert chosen("cost", given) == given[1], "the cheapest keeps 85 % only"


@pytest.mark.parametrize("hint", DEFAULT_PRIORITIES)
def test_equals_are_told_apart_by_what_was_not_asked_for(hint: str) -> None:
    worse = {"quality": {"quality": 0.4}, "cost": {"cost_usd": 2.0}, "time": {"latency_s": 2.0}}
    for changes in worse.values():
        assert chosen(hint, [estimate(**changes), estimate()]) == estimate()


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
