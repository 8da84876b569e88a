"""A policy is judged on the log that another one wrote, and only where the log can tell."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from gateway.decisions.types import DecisionRow, ObservationRow, OutcomeRow, Record
from gateway.policyops.evaluate import Evaluation, NothingJudgedError, evaluate_on_log
from gateway.policyops.logged_cases import LeftOut, logged_case, request_again
from policies.estimators.card import CardEstimator
from policies.evaluation.estimators import Method
from policies.features.extract import extract
from policies.features.layout import VERSION
from policies.features.stored import to_stored
from policies.features.types import Prompt
from policies.objective import Weights
from policies.policy import Exploration, ExplorationMethod, Formula, Policy, Rule, Then
from policies.priorities import DEFAULT_PRIORITIES
from policies.types import Profile
from tests.decision_rows import decision, observation, outcome
from tests.policy_strategies import candidate

CANDIDATES = {name: candidate(name) for name in ("full", "quantized")}
PROFILES = {
    name: Profile(quality=quality, ttft_s=0.1, tpot_s=0.01) for name, quality in (("full", 0.9), ("quantized", 0.4))
}
WORTH = {"full": 0.9, "quantized": 0.4}
STATES = [{"variant": name, "state": "warm", "excluded_because": None} for name in CANDIDATES]


def only(name: str) -> Policy:
    """A policy that lets one variant answer."""
    rule = Rule(name="only", then=Then(include=(name,)))
    return Policy(hash="p", priorities=DEFAULT_PRIORITIES, rules=(rule,), exploration=Exploration(epsilon=0.0))


def logged(count: int) -> list[Record]:
    """Requests answered by either variant at even odds, each good with its own probability."""
    rng = np.random.default_rng(0)
    return [record(f"dec_{i}", rng) for i in range(count)]


def record(name: str, rng: np.random.Generator) -> Record:
    choice = str(rng.choice(list(CANDIDATES)))
    features = to_stored(extract(Prompt(text=f"question {rng.integers(1000)}")))
    row: DecisionRow = decision(
        name,
        choice=choice,
        candidates=STATES,
        propensities={"full": 0.5, "quantized": 0.5},
        features_hash=VERSION,
        features=features,
        pinned=False,
    )
    came: OutcomeRow = outcome(name, variant=choice, attempts=[{"variant": choice, "propensity": 0.5}])
    judged: ObservationRow = observation(name, score=float(rng.random() < WORTH[choice]))
    return Record(decision=row, outcome=came, observations=[judged])


@pytest.mark.parametrize("name", list(CANDIDATES))
def test_the_value_of_another_policy_is_found_within_its_interval(name: str) -> None:
    report = evaluate_on_log(logged(600), only(name), candidates=CANDIDATES, estimator=CardEstimator)
    line = report.quality.line(Method.DR)
    assert line is not None
    assert line.interval.covers(WORTH[name])
    assert line.interval.high - line.interval.low < 0.2
    assert report.quality.problems == ()


def test_what_was_pinned_unjudged_or_retried_does_not_count() -> None:
    records = logged(60)
    spoiled = [
        msgspec.structs.replace(r, decision=msgspec.structs.replace(r.decision, pinned=True)) for r in records[:20]
    ] + [msgspec.structs.replace(r, observations=[]) for r in records[20:41]]
    with pytest.raises(NothingJudgedError, match="19 judged answers"):
        evaluate_on_log([*spoiled, *records[41:]], only("full"), candidates=CANDIDATES, estimator=CardEstimator)


def test_a_policy_that_does_what_was_never_tried_is_not_believed() -> None:
    records = [r for r in logged(400) if r.decision.choice == "full"]
    sure = [
        msgspec.structs.replace(
            r, decision=msgspec.structs.replace(r.decision, propensities={"full": 1.0, "quantized": 0.0})
        )
        for r in records
    ]
    report = evaluate_on_log(sure, only("quantized"), candidates=CANDIDATES, estimator=CardEstimator)
    assert report.quality.problems


def test_forced_answers_do_not_count() -> None:
    forced = [
        msgspec.structs.replace(r, decision=msgspec.structs.replace(r.decision, forced=True)) for r in logged(60)
    ]
    with pytest.raises(NothingJudgedError, match="0 judged answers"):
        evaluate_on_log(forced, only("full"), candidates=CANDIDATES, estimator=CardEstimator)


def test_every_record_is_learned_from_after_it_was_decided() -> None:
    records, seen = logged(60), []
    asked: list[int] = []

    def estimator() -> CardEstimator:
        asked.append(len(seen))
        return CardEstimator()

    evaluate_on_log(records, only("full"), candidates=CANDIDATES, estimator=estimator, learn=seen.append)
    assert seen == records
    assert asked == list(range(60))


def changed(record: Record, **changes: object) -> Record:
    return msgspec.structs.replace(record, decision=msgspec.structs.replace(record.decision, **changes))


def evaluated(records: Sequence[Record]) -> Evaluation:
    return evaluate_on_log(records, only("full"), candidates=CANDIDATES, estimator=CardEstimator)


def test_requests_that_do_not_count_are_counted_by_the_reason() -> None:
    records = logged(300)
    other = msgspec.structs.replace(records[0].outcome, variant="elsewhere")  # type: ignore[type-var]
    spoiled = [
        *(changed(r, forced=True) for r in records[:40]),
        *(changed(r, pinned=True) for r in records[40:45]),
        msgspec.structs.replace(records[45], outcome=other),
        msgspec.structs.replace(records[46], observations=[]),
        changed(records[47], features_hash="of another version"),
    ]
    found = evaluated([*spoiled, *records[48:]])
    assert found.left_out == {
        LeftOut.FORCED: 40,
        LeftOut.PINNED: 5,
        LeftOut.NOT_ANSWERED: 1,
        LeftOut.NOT_JUDGED: 1,
        LeftOut.NOT_READABLE: 1,
    }
    assert found.quality.support.rows == 252


ESTIMATE = {
    "quality": 0.5,
    "ttft_s": 0.1,
    "tpot_s": 0.01,
    "completion_tokens": 9.0,
    "latency_s": 1.0,
    "cost_usd": 0.01,
}
VERDICTS = [state | {"estimate": ESTIMATE, "utility": 0.4, "propensity": 0.5} for state in STATES]


def test_the_utility_is_that_of_the_logged_prices_for_what_was_realised() -> None:
    valuation: dict[str, float | None] = {"quality_weight": 1.0, "keep": None, "per_usd": 20.0, "per_s": 0.0}
    prices: dict[str, float | None] = {"per_usd": 0.0, "per_s": 0.1, "per_quality": 0.0, "ceiling_usd": None}
    records = [
        msgspec.structs.replace(r, outcome=msgspec.structs.replace(r.outcome, cost_usd=0.005, latency_s=2.0))  # type: ignore[type-var]
        for r in logged(400)
    ]
    found = evaluated([changed(r, valuation=valuation, prices=prices, candidates=VERDICTS) for r in records])
    assert found.utility is not None
    quality, utility = found.quality.line(Method.LOGGED), found.utility.line(Method.LOGGED)
    assert quality is not None
    assert utility is not None
    # 20 a dollar for $0.005, and 0.1 a second for 2 s.
    assert utility.value == pytest.approx(quality.value - 0.1 - 0.2)
    assert all(line.guaranteed is None for line in found.utility.lines)


def test_a_log_without_linear_prices_tells_nothing_of_utility() -> None:
    assert evaluated(logged(60)).utility is None


def test_a_request_that_states_nothing_goes_by_the_judged_policys_own_hint() -> None:
    stated = {"accuracy": 1.0, "speed": 0.5, "cost": 0.5}
    case = logged_case(changed(logged(1)[0], hint=None, weights=stated), CANDIDATES)
    assert not isinstance(case, LeftOut)
    own = Policy(hash="p", priorities=DEFAULT_PRIORITIES | {"balanced": DEFAULT_PRIORITIES["accuracy"]})
    assert request_again(case, own).objective.weights == DEFAULT_PRIORITIES["accuracy"]


@pytest.mark.parametrize(("formula", "spared"), [(Formula.LINEAR, True), (Formula.RATIO, False)])
def test_the_tenants_prices_of_then_count_in_the_units_they_were_logged_in(formula: Formula, spared: bool) -> None:
    """At these prices no dollar is worth spending: the cheaper variant is taken where they apply."""
    policy = Policy(
        hash="p",
        priorities=dict.fromkeys(DEFAULT_PRIORITIES, Weights(accuracy=1)),
        formula=formula,
        exploration=Exploration(method=ExplorationMethod.EPSILON_SOFTMAX, epsilon=0.0),
    )
    costs = {"full": 1e-3, "quantized": 1e-6}
    priced = {name: candidate(name, profile=PROFILES[name], compute_per_s_usd=usd) for name, usd in costs.items()}
    told = {"prices": {"per_usd": 1e9}, "valuation": {"quality_weight": 1.0}, "hint": "balanced"}
    records = [msgspec.structs.replace(r, decision=msgspec.structs.replace(r.decision, **told)) for r in logged(300)]
    report = evaluate_on_log(records, policy, candidates=priced, estimator=CardEstimator)
    line = report.quality.line(Method.DR)
    assert line is not None
    assert line.interval.covers(WORTH["quantized" if spared else "full"])
