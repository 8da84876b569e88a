"""Probabilities are exact, and draws follow them."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.exploration import cautious, early, epsilon_softmax, sample, thompson
from policies.objective import Limits, Weights
from policies.policy import Exploration, ExplorationMethod, Formula, Policy
from policies.prices import NO_PRICES
from policies.stakes import stakes
from policies.types import CandidateState, Estimate
from tests.beliefs import Believing, beliefs, changed
from tests.policy_strategies import Told, candidate, decided, estimate, request


def exploring(method: ExplorationMethod = ExplorationMethod.THOMPSON, **how: float) -> Policy:
    return Policy(hash="p", priorities={}, exploration=Exploration(method=method, **how))  # type: ignore[arg-type]


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
    draws, false_alarms = 4_000, 1e-6
    tolerance = math.sqrt(math.log(2 * 3 / false_alarms) / (2 * draws))
    told = {"full": estimate(quality=0.9), "quantized": estimate(quality=0.7), "tiny": estimate(quality=0.2)}
    candidates = tuple(candidate(name) for name in told)
    policy = exploring(ExplorationMethod.EPSILON_SOFTMAX, epsilon=0.2, temperature=0.1)
    decisions = [decided(request(), candidates, policy, estimator=Told(told), seed=seed) for seed in range(draws)]
    propensities = decisions[0].propensities
    assert min(propensities.values()) >= 0.2 / 3
    for name, propensity in propensities.items():
        share = sum(decision.choice == name for decision in decisions) / draws
        assert abs(share - propensity) < tolerance
    assert sum(d.explored for d in decisions) / draws == pytest.approx(1 - propensities["full"], abs=tolerance)


@pytest.mark.parametrize("method", ExplorationMethod)
@pytest.mark.parametrize("state", [CandidateState.COLD, CandidateState.LOADING])
def test_a_sleeping_variant_is_chosen_on_merit_or_not_at_all(
    state: CandidateState, method: ExplorationMethod
) -> None:
    policy = exploring(method, epsilon=0.5, temperature=1.0)
    candidates = (candidate("full", state=state), candidate("quantized"), candidate("tiny"))
    told = {"full": estimate(quality=0.4, quality_se=0.1), "quantized": estimate(), "tiny": estimate()}
    assert decided(request(), candidates, policy, estimator=Told(told)).propensities["full"] == 0.0
    told["full"] = estimate(quality=0.6)
    assert 0.0 < decided(request(), candidates, policy, estimator=Told(told)).propensities["full"] <= 0.5


ACCURACY = request(weights=Weights(accuracy=1))
seen = st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1), st.booleans(), st.booleans()), min_size=1, max_size=6)


def shares_of(given: list[Estimate], how: Exploration, *, explorable: list[bool], may: list[bool]) -> list[float]:
    belief = changed(given)
    at = stakes(given, belief, weights=Weights(accuracy=1), formula=Formula.LINEAR, prices=NO_PRICES, prefer={})
    values = at.value(belief.level)
    return thompson(belief, at, values, how=how, explorable=explorable, may=may)


@given(seen.filter(lambda of: any(may for *_, may in of)), st.floats(0, 1), st.integers(16, 256))
def test_thompson_gives_exact_shares_of_its_draws_mixed_with_epsilon(
    options: list[tuple[float, float, bool, bool]], epsilon: float, draws: int
) -> None:
    means, sds, warm, may = (list(column) for column in zip(*options, strict=True))
    given = [estimate(quality=mean, quality_se=sd) for mean, sd in zip(means, sds, strict=True)]
    shares = shares_of(given, Exploration(epsilon=epsilon, draws=draws), explorable=warm, may=may)
    assert math.fsum(shares) == pytest.approx(1.0)
    reach = [w and m for w, m in zip(warm, may, strict=True)]
    best = max(mean for mean, possible in zip(means, may, strict=True) if possible)
    for share, explorable, possible, mean in zip(shares, reach, may, means, strict=True):
        uniform = epsilon / sum(reach) if explorable else 0.0
        assert share >= uniform - 1e-12
        if not possible or (not explorable and mean < best):
            assert share == 0.0
        won = (share - uniform) * draws
        assert won == pytest.approx(round(won / max(1e-9, kept := 1.0 - epsilon * any(reach))) * kept, abs=1e-6)


def test_thompson_agrees_with_the_normal_law_for_two() -> None:
    """P(A > B) for normal posteriors; mirrored draws err by less than independent ones, of which five errors."""
    given = [estimate(quality=0.70, quality_se=0.04), estimate(quality=0.65, quality_se=0.03)]
    shares = shares_of(given, Exploration(epsilon=0.0, scale=1.0, draws=4096), explorable=[True] * 2, may=[True] * 2)
    exact = NormalDist().cdf(0.05 / math.hypot(0.04, 0.03))
    assert shares[0] == pytest.approx(exact, abs=5 * math.sqrt(exact * (1 - exact) / 4096))


def test_what_is_uncertain_is_explored_and_what_is_sure_is_not() -> None:
    told = {"full": estimate(quality=0.9, quality_se=0.01), "new": estimate(quality=0.8, quality_se=0.2)}
    candidates = tuple(candidate(name) for name in told)
    policy = exploring(epsilon=0.02, draws=512)
    assert 0.15 < decided(ACCURACY, candidates, policy, estimator=Told(told)).propensities["new"] < 0.4
    sure = Told(told | {"new": estimate(quality=0.8, quality_se=0.001)})
    assert decided(ACCURACY, candidates, policy, estimator=sure).propensities["new"] == pytest.approx(0.01)


def test_nothing_is_explored_where_hardly_any_answer_is_judged() -> None:
    told = {"full": estimate(quality=0.9, quality_se=0.2), "new": estimate(quality=0.8, quality_se=0.2)}
    candidates = tuple(candidate(name) for name in told)
    unjudged = Believing(told, judged=False, tried=[100.0, 0.0], requests=100.0)
    decision = decided(ACCURACY, candidates, exploring(epsilon=0.02), estimator=unjudged)
    assert decision.propensities == pytest.approx({"full": 0.99, "new": 0.01})
    assert not decision.forced


@given(st.data())
def test_propensities_under_any_belief_are_those_of_the_choice(data: st.DataObject) -> None:
    """Under any belief, the shares do not depend on the seed, and the choice is one that has a share."""
    told = {name: estimate() for name in ("full", "quantized", "tiny")}
    candidates = tuple(candidate(name) for name in told)
    belief = data.draw(beliefs(3))
    sd = np.array(data.draw(st.lists(st.floats(0, 1), min_size=3, max_size=3)))
    draws = sd[:, None] * changed([estimate(quality_se=1.0)] * 3).draws
    estimator = Believing(told, **belief, draws=draws)
    decisions = [decided(ACCURACY, candidates, exploring(), estimator=estimator, seed=seed) for seed in range(3)]
    assert decisions[0].propensities == decisions[1].propensities == decisions[2].propensities
    assert math.fsum(decisions[0].propensities.values()) == pytest.approx(1.0)
    assert all(decision.propensities[decision.choice or ""] > 0.0 for decision in decisions)


# --- caution


def test_a_request_sets_a_variant_apart_only_as_far_as_that_is_sure() -> None:
    told = {"full": estimate(quality=0.7), "tiny": estimate(quality=0.6)}
    candidates = tuple(candidate(name) for name in told)

    def choice(sd: float, caution: float) -> str | None:
        doubtful = Believing(told, shift=[0.0, 0.2], doubt=[[0.0, sd], [sd, 0.0]])
        policy = exploring(epsilon=0.0, scale=0.0, first=0, caution=caution)
        return decided(ACCURACY, candidates, policy, estimator=doubtful).choice

    assert choice(0.1, 0.5) == "tiny"
    assert choice(0.3, 0.5) == "full"
    assert choice(0.3, 0.2) == "tiny"
    assert choice(10.0, 0.0) == "tiny"


def test_the_variant_that_is_best_on_the_tenants_traffic_is_in_no_doubt_against_itself() -> None:
    belief = changed([estimate()] * 2, shift=[-0.1, 0.2], doubt=[[0.0, 0.4], [0.4, 0.0]])
    assert cautious(belief, 0, caution=0.5).tolist() == pytest.approx([-0.1, 0.0])
    assert cautious(belief, 1, caution=0.5).tolist() == pytest.approx([-0.1, 0.2])  # A drawback is not enlarged.
    assert cautious(belief, np.array([0, 1]), caution=0.5).shape == (2, 2)


def test_doubt_is_held_against_what_is_feasible() -> None:
    """The best variant is too slow: what is left is compared with the best of itself, by the logged utilities too."""
    told = {
        "full": estimate(quality=0.9, latency_s=9.0),
        "quantized": estimate(quality=0.7),
        "tiny": estimate(quality=0.68),
    }
    candidates = tuple(candidate(name) for name in told)
    doubt = [[0.0, 0.8, 0.1], [0.8, 0.0, 0.8], [0.1, 0.8, 0.0]]
    estimator = Believing(told, shift=[0.0, 0.0, 0.1], doubt=doubt)
    asked = request(weights=Weights(accuracy=1), limits=Limits(latency_s=2.0))
    decision = decided(asked, candidates, exploring(epsilon=0.0, scale=0.0), estimator=estimator)
    assert decision.choice == "quantized"
    assert [v.utility for v in decision.verdicts] == [None, pytest.approx(0.7), pytest.approx(0.68)]
    assert not decision.explored


# --- early answers

FOUR = {
    "full": estimate(quality=0.9, quality_se=0.1, cost_usd=4.0),
    "quantized": estimate(quality=0.8, quality_se=0.1, cost_usd=2.0),
    "tiny": estimate(quality=0.75, quality_se=0.1, cost_usd=1.0),
    "cold": estimate(quality=0.9, quality_se=0.1, cost_usd=2.0),
}


def test_every_warm_variant_gets_its_early_answers_as_requests_come_in() -> None:
    tried = dict.fromkeys(FOUR, 0)
    candidates = tuple(candidate(n, state=CandidateState.COLD if n == "cold" else CandidateState.WARM) for n in FOUR)
    for requests in range(60):
        estimator = Believing(FOUR, tried=[float(n) for n in tried.values()], requests=float(requests))
        decision = decided(ACCURACY, candidates, exploring(first=3), estimator=estimator, seed=requests)
        needed = min(3.0, 0.5 * math.sqrt(requests))
        lacking = [name for name in tried if name != "cold" and tried[name] < needed]
        assert decision.forced == bool(lacking)
        if decision.forced:
            assert decision.choice == min(lacking, key=tried.__getitem__)
            assert decision.propensities == {name: float(name == decision.choice) for name in FOUR}
        tried[decision.choice or ""] += 1
    assert min(tried[name] for name in tried if name != "cold") >= 3


@pytest.mark.parametrize(
    ("price", "forced"), [(0.1, True), (0.5, False)], ids=["two deviations make up for it", "hopeless"]
)
def test_a_variant_whose_price_rules_it_out_gets_no_early_answer(price: float, forced: bool) -> None:
    told = {"tiny": estimate(quality=0.7, cost_usd=1.0), "dear": estimate(quality=0.7, quality_se=0.1, cost_usd=2.0)}
    estimator = Believing(told, tried=[100.0, 0.0], requests=100.0)
    candidates = tuple(candidate(name) for name in told)
    asked = request(weights=Weights(accuracy=1, cost=price / 0.02))
    decision = decided(asked, candidates, exploring(epsilon=0.0, scale=0.0), estimator=estimator)
    assert decision.valuation is not None
    assert decision.valuation.per_usd == pytest.approx(price)
    assert (decision.forced, decision.choice) == (forced, "dear" if forced else "tiny")


@pytest.mark.parametrize(
    "limits", [Limits(min_quality=0.8), Limits(max_cost_usd=1.5)], ids=["a floor", "a ceiling of cost"]
)
def test_no_early_answer_goes_beyond_a_limit(limits: Limits) -> None:
    told = {"full": estimate(quality=0.9), "new": estimate(quality=0.7, quality_se=0.5, cost_usd=2.0)}
    estimator = Believing(told, tried=[100.0, 0.0], requests=100.0)
    candidates = tuple(candidate(name) for name in told)
    asked = request(weights=Weights(accuracy=1), limits=limits)
    decision = decided(asked, candidates, exploring(), estimator=estimator)
    assert (decision.choice, decision.forced) == ("full", False)


def test_a_single_feasible_candidate_is_never_forced() -> None:
    estimator = Believing({"new": estimate()}, tried=[0.0], requests=100.0)
    decision = decided(ACCURACY, (candidate("new"),), exploring(), estimator=estimator)
    assert (decision.forced, decision.propensities) == (False, {"new": 1.0})


def test_no_early_answers_are_asked_of_an_estimator_that_does_not_count() -> None:
    given = [estimate(quality=0.9), estimate(quality=0.1)]
    belief = changed(given)
    at = stakes(given, belief, weights=Weights(accuracy=1), formula=Formula.LINEAR, prices=NO_PRICES, prefer={})
    how = Exploration()
    assert early(belief, at, at.value(belief.level), how=how, explorable=[True, True]) is None
    counting = msgspec.structs.replace(belief, tried=np.array([0.0, 0.0]), requests=100.0)
    never = Exploration(first=0)
    assert early(counting, at, at.value(belief.level), how=never, explorable=[True, True]) is None
