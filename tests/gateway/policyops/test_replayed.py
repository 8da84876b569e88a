"""A policy is judged with what was known before each request, by the fits that it pins or that are in force."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy.engine import Engine

from gateway.decisions.types import Record
from gateway.decisions.write import insert
from gateway.learning import trainings
from gateway.learning.store import EstimatorStore
from gateway.policyops.evaluate import evaluate_on_log
from gateway.policyops.replayed import Replayed, replayed
from policies.escalation import Escalation
from policies.estimators.card import CardEstimator
from policies.evaluation.estimators import Method
from policies.features.stored import from_stored
from policies.policy import Cascade, LearnedUse, Policy
from policies.priorities import DEFAULT_POLICY
from tests.fitted import latency_artifact
from tests.gateway.policyops.test_evaluate import CANDIDATES, WORTH, logged
from tests.learned_state import a_fit
from tests.policy_strategies import request

TTFT_S = 0.1
"""What the card says."""


def written(engine: Engine, count: int) -> list[Record]:
    """Records that are in the database too."""
    records = logged(count)
    rows = [row for r in records for row in (r.decision, r.outcome, *r.observations) if row is not None]
    assert insert(engine, rows) == 0
    return records


def played(engine: Engine, policy: Policy = DEFAULT_POLICY) -> Replayed:
    return replayed(policy, engine, candidates=CANDIDATES, max_rows=1000)


def qualities(found: Replayed, record: Record) -> list[float]:
    asked = request(tenant="default", features=from_stored(record.decision.features))
    return [estimate.quality for estimate in found.estimator.estimate(asked, list(CANDIDATES.values()))]


def test_what_comes_later_in_the_log_is_not_known_yet(engine: Engine) -> None:
    records = written(engine, 120)
    found = played(engine)
    before = qualities(found, records[0])
    assert before[0] == pytest.approx(before[1])
    for record in records:
        found.learn(record)
    full, quantized = qualities(found, records[0])
    assert full > quantized + 0.2


def test_the_policy_that_learns_is_worth_what_the_better_variant_is(engine: Engine) -> None:
    records = written(engine, 300)
    found = played(engine, msgspec.structs.replace(DEFAULT_POLICY, hash="p"))
    report = evaluate_on_log(
        records, found.policy, candidates=CANDIDATES, estimator=lambda: found.estimator, learn=found.learn
    )
    line = report.quality.line(Method.DR)
    assert line is not None
    assert line.value > (WORTH["full"] + WORTH["quantized"]) / 2


def test_times_in_force_or_pinned_are_used_and_none_where_the_policy_wants_none(engine: Engine) -> None:
    store = EstimatorStore(engine)
    name = store.put(latency_artifact(*CANDIDATES))
    pinned = msgspec.structs.replace(DEFAULT_POLICY, estimators={"latency": name})
    none = msgspec.structs.replace(DEFAULT_POLICY, learning=LearnedUse.NONE)

    def ttft_s(policy: Policy) -> float:
        return played(engine, policy).estimator.estimate(request(), [CANDIDATES["full"]])[0].ttft_s

    assert ttft_s(DEFAULT_POLICY) == pytest.approx(TTFT_S)
    assert ttft_s(pinned) == pytest.approx(2 * TTFT_S)
    trainings.record(engine, a_fit(latency=name), publish=True)
    assert ttft_s(DEFAULT_POLICY) == pytest.approx(2 * TTFT_S)
    assert ttft_s(none) == pytest.approx(TTFT_S)
    assert isinstance(played(engine, none).estimator, CardEstimator)


def test_a_learned_threshold_completes_the_policy(engine: Engine) -> None:
    learned = Escalation(first="quantized", then="full", threshold=0.25, escalates=0.5, recovers=0.75)
    name = EstimatorStore(engine).put(learned.to_artifact(facts={}))
    trainings.record(engine, a_fit(cascade=name), publish=True)
    policy = msgspec.structs.replace(DEFAULT_POLICY, cascade=Cascade(first="quantized", then="full"))
    found = played(engine, policy).policy.cascade
    assert found is not None
    assert found.threshold == 0.25
