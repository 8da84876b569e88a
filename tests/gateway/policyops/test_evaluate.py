"""A policy is judged on the log that another one wrote, and only where the log can tell."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from sqlalchemy.engine import Engine

from gateway.decisions.types import DecisionRow, ObservationRow, OutcomeRow, Record
from gateway.learning import trainings
from gateway.learning.store import EstimatorStore
from gateway.policyops.evaluate import NothingJudgedError, evaluate_on_log
from gateway.policyops.logged_cases import LeftOut, logged_case, request_again
from gateway.policyops.served import CARDS, Served
from policies.errors import ArtifactError
from policies.evaluation.estimators import Method
from policies.features.extract import extract
from policies.features.layout import VERSION
from policies.features.stored import from_stored, to_stored
from policies.features.types import Prompt
from policies.learner.fit import first_fit
from policies.policy import Exploration, LearnedUse, Policy, Rule, Then
from policies.priorities import DEFAULT_PRIORITIES
from policies.samples import Sample
from tests.decision_rows import decision, observation, outcome
from tests.learned_state import a_fit
from tests.policy_strategies import candidate, request
from tests.training_rows import samples as some_samples

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
    report = evaluate_on_log(logged(600), only(name), candidates=CANDIDATES, served=CARDS)
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
        evaluate_on_log([*spoiled, *records[41:]], only("full"), candidates=CANDIDATES, served=CARDS)


def test_a_policy_that_does_what_was_never_tried_is_not_believed() -> None:
    records = [r for r in logged(400) if r.decision.choice == "full"]
    sure = [
        msgspec.structs.replace(
            r, decision=msgspec.structs.replace(r.decision, propensities={"full": 1.0, "quantized": 0.0})
        )
        for r in records
    ]
    report = evaluate_on_log(sure, only("quantized"), candidates=CANDIDATES, served=CARDS)
    assert report.quality.problems


def changed(record: Record, **changes: object) -> Record:
    return msgspec.structs.replace(record, decision=msgspec.structs.replace(record.decision, **changes))


def test_forced_and_pinned_requests_are_left_out_and_counted() -> None:
    records = [changed(r, forced=True) for r in logged(30)] + [changed(r, pinned=True) for r in logged(5)]
    found = evaluate_on_log([*logged(200), *records], only("full"), candidates=CANDIDATES, served=CARDS)
    assert found.left_out == {LeftOut.FORCED: 30, LeftOut.PINNED: 5}
    assert found.quality.support.rows == 200


def test_an_answer_that_was_not_judged_or_not_given_by_the_choice_is_counted_as_that() -> None:
    records = logged(63)
    other = msgspec.structs.replace(records[0].outcome, variant="elsewhere")  # type: ignore[type-var]
    odd = [
        msgspec.structs.replace(records[0], outcome=other),
        msgspec.structs.replace(records[1], observations=[]),
        changed(records[2], features_hash="of another version"),
    ]
    found = evaluate_on_log([*odd, *records[3:]], only("full"), candidates=CANDIDATES, served=CARDS)
    assert found.left_out == {LeftOut.NOT_ANSWERED: 1, LeftOut.NOT_JUDGED: 1, LeftOut.NOT_READABLE: 1}


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
    priced = [changed(r, valuation=valuation, prices=prices, candidates=VERDICTS) for r in records]
    found = evaluate_on_log(priced, only("full"), candidates=CANDIDATES, served=CARDS)
    assert found.utility is not None
    quality, utility = found.quality.line(Method.LOGGED), found.utility.line(Method.LOGGED)
    assert quality is not None
    assert utility is not None
    # 20 a dollar for $0.005, and 0.1 a second for 2 s.
    assert utility.value == pytest.approx(quality.value - 0.1 - 0.2)
    assert all(line.guaranteed is None for line in found.utility.lines)


def test_a_log_without_linear_prices_tells_nothing_of_utility() -> None:
    assert evaluate_on_log(logged(60), only("full"), candidates=CANDIDATES, served=CARDS).utility is None


def samples(records: Sequence[Record]) -> list[Sample]:
    """The log as samples, each with its features."""
    return [
        msgspec.structs.replace(
            plain,
            decision_id=r.decision.decision_id,
            variant=r.decision.choice,
            quality=r.observations[0].score,
            quality_weight=1.0,
            features=from_stored(r.decision.features),
        )
        for r, plain in zip(records, some_samples(len(records)), strict=True)
    ]


def test_a_policy_decides_with_what_the_log_taught_and_not_with_cards_alone() -> None:
    records = logged(300)
    policy = Policy(hash="p", priorities=DEFAULT_PRIORITIES, exploration=Exploration(epsilon=0.0))
    stated = msgspec.structs.replace(CANDIDATES["quantized"].profile, quality=0.8, source="stated")
    wrong = CANDIDATES | {"quantized": candidate("quantized", profile=stated)}
    cards = evaluate_on_log(records, policy, candidates=wrong, served=CARDS)
    learned = evaluate_on_log(
        records, policy, candidates=wrong, served=Served(fit=first_fit(), samples=samples(records))
    )
    said = [found.quality.line(Method.DR) for found in (cards, learned)]
    assert said[1] is not None
    assert said[1].interval.covers(WORTH["full"]), "it has learned to take the good one"
    assert said[0] is not None
    assert said[0].value < said[1].value - 0.1
    assert (cards.learned, learned.learned) == (False, True)


def test_no_request_is_decided_by_what_its_own_answer_taught() -> None:
    [one, *others] = samples(logged(40))
    served = Served(fit=first_fit(), samples=[msgspec.structs.replace(one, quality=0.0), *others])
    policy = only("full")
    ids = {one.decision_id}
    without = served.without(ids, policy, candidates=CANDIDATES)
    flipped = Served(fit=first_fit(), samples=[msgspec.structs.replace(one, quality=1.0), *others])
    asked = request(features=one.features)
    said = [
        estimator.estimate(asked, list(CANDIDATES.values()))
        for estimator in (without, flipped.without(ids, policy, candidates=CANDIDATES))
    ]
    assert list(said[0]) == list(said[1])


def test_what_is_served_is_in_force_pinned_or_none(engine: Engine) -> None:
    name = EstimatorStore(engine).put(first_fit().to_artifact(variants=tuple(CANDIDATES), facts={}))
    plain = Policy(hash="p", priorities=DEFAULT_PRIORITIES)
    pinned = msgspec.structs.replace(plain, estimators={"answers": name})
    none = msgspec.structs.replace(plain, learning=LearnedUse.NONE)
    assert Served.under(plain, engine, variants=CANDIDATES).hashes == {}
    assert Served.under(pinned, engine, variants=CANDIDATES).hashes == {"answers": name}
    assert Served.under(none, engine, variants=CANDIDATES).fit is None
    trainings.record(engine, a_fit(answers=name), publish=True)
    in_force = Served.under(plain, engine, variants=CANDIDATES)
    assert in_force.hashes == {"answers": name}
    assert in_force.fit is not None
    assert Served.under(none, engine, variants=CANDIDATES).fit is None
    gone = msgspec.structs.replace(plain, estimators={"answers": "0" * 32})
    with pytest.raises(ArtifactError, match="not in the database"):
        Served.under(gone, engine, variants=CANDIDATES)


def test_a_request_that_states_nothing_goes_by_the_judged_policys_own_hint() -> None:
    stated = {"accuracy": 1.0, "speed": 0.5, "cost": 0.5}
    case = logged_case(changed(logged(1)[0], hint=None, weights=stated), CANDIDATES)
    assert not isinstance(case, LeftOut)
    own = Policy(hash="p", priorities=DEFAULT_PRIORITIES | {"balanced": DEFAULT_PRIORITIES["accuracy"]})
    assert request_again(case, own).objective.weights == DEFAULT_PRIORITIES["accuracy"]
