"""A policy is judged on the log that another one wrote, and only where the log can tell."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from gateway.decisions.types import DecisionRow, ObservationRow, OutcomeRow, Record
from gateway.policyops.evaluate import NothingJudgedError, evaluate_on_log
from policies.estimators.card import CardEstimator
from policies.evaluation.estimators import Method
from policies.features.extract import extract
from policies.features.layout import VERSION
from policies.features.stored import to_stored
from policies.features.types import Prompt
from policies.policy import Exploration, Policy, Rule, Then
from policies.priorities import DEFAULT_PRIORITIES
from tests.decision_rows import decision, observation, outcome
from tests.policy_strategies import candidate

CANDIDATES = {name: candidate(name) for name in ("full", "quantized")}
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
    line = report.line(Method.DR)
    assert line is not None
    assert line.interval.covers(WORTH[name])
    assert line.interval.high - line.interval.low < 0.2
    assert report.problems == ()


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
    assert report.problems


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
