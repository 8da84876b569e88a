"""The learner of a process: what it takes from its own requests and from the log, once each, whatever comes when."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.decisions.types import Ending, Row
from gateway.learning import online as onlines
from gateway.learning.online import OnlineLearner
from policies.estimators.latency import LatencyModel
from policies.learner.fit import first_fit
from policies.samples import Sample
from policies.types import CandidateState
from tests.decision_rows import decision, observation, outcome
from tests.fitted import FEATURES, latency_artifact
from tests.policy_strategies import candidate, request

DECIDED = decision(tenant="zoo", features=FEATURES)
HELD = [{"variant": "quantized", "propensity": 1.0, "held": "good_enough"}]
CANDIDATES = [candidate("full"), candidate("quantized")]


class Charges:
    """What tenants were charged."""

    def __init__(self) -> None:
        self.usd: list[tuple[str, float]] = []

    def __call__(self, tenant: str, usd: float) -> None:
        self.usd.append((tenant, usd))


def learner_of(*rows: Row, charge: Charges | None = None) -> OnlineLearner:
    """One that followed these rows."""
    online = OnlineLearner(charge=charge or Charges())
    for row in rows:
        online.follow(row)
    return online


def from_log(name: str = "dec_1", *, quality: float | None = None, **changes: Any) -> Sample:
    """The request of `DECIDED` as the log has it, but for the changes."""
    plain: dict[str, Any] = {
        "created_at_s": 1_700_000_000.25,
        "tenant": "zoo",
        "variant": "quantized",
        "propensity": 1.0,
        "state": CandidateState.WARM,
        "queued": 0,
        "running": 0,
        "starts_in_s": None,
        "prompt_tokens": 60,
        "max_completion_tokens": None,
        "completion_tokens": 64,
        "cut": False,
        "ttft_s": 0.1,
        "tpot_s": 0.01,
        "latency_s": 1.0,
        "cost_usd": 1e-5,
        "features": FEATURES,
        "quality": quality,
        "quality_weight": 0.0 if quality is None else 1.0,
    }
    return Sample(decision_id=name, **plain | changes)


def quality(online: OnlineLearner, variant: str = "quantized") -> float:
    """As it is predicted for the request of `DECIDED`."""
    estimates = online.learner.estimate(request(tenant="zoo", features=FEATURES), CANDIDATES)
    return next(e.quality for e, c in zip(estimates, CANDIDATES, strict=True) if c.name == variant)


async def test_the_first_judged_answer_moves_what_is_predicted_next() -> None:
    online = learner_of(DECIDED, outcome())
    await online.settle()
    before = quality(online)
    online.follow(observation(score=0.0))
    await online.settle()
    assert quality(online) < before - 0.02


@pytest.mark.parametrize(
    "rows",
    [
        [outcome(), observation()],
        [decision(features=None), outcome(), observation()],
        [DECIDED, observation()],
        [DECIDED, outcome(ending=Ending.CANCELLED), observation()],
        [DECIDED, outcome(cache="exact"), observation()],
        [DECIDED, outcome(attempts=HELD), observation()],
    ],
    ids=["unknown", "no features", "no outcome yet", "not complete", "from the cache", "passed on by a cascade"],
)
def test_what_says_nothing_of_a_variants_quality_is_not_counted_as_judged(rows: list[Row]) -> None:
    assert learner_of(*rows).learner.judged == 0


def test_a_judgement_that_came_before_its_answer_counts_with_it() -> None:
    assert learner_of(DECIDED, observation(), outcome()).learner.judged == 1


def test_what_a_request_cost_is_charged_to_its_tenant() -> None:
    charges = Charges()
    learner_of(DECIDED, outcome(cost_usd=5.0), outcome("unknown", cost_usd=7.0), charge=charges)
    assert charges.usd == [("zoo", 5.0)]


def test_requests_of_each_variant_are_counted() -> None:
    online = learner_of(DECIDED, decision("dec_2", choice=None), decision("dec_3", choice="full"))
    assert dict(online.learner.tried) == {"quantized": 1, "full": 1}


def test_a_row_that_cannot_be_learned_from_does_not_disturb_its_recorder(caplog: pytest.LogCaptureFixture) -> None:
    online = learner_of(DECIDED, outcome(attempts=[{"variant": "quantized"}]), decision("dec_2", features=FEATURES))
    assert "decision dec_1 is not learned from" in caplog.text
    for row in (outcome("dec_2"), observation("dec_2")):
        online.follow(row)
    assert online.learner.judged == 1


def test_of_requests_that_are_no_longer_remembered_the_log_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onlines, "KEPT", 2)
    rows = [row for n in range(3) for row in (decision(f"dec_{n}", features=FEATURES), outcome(f"dec_{n}"))]
    online = learner_of(*rows, observation("dec_0"), observation("dec_2"))
    assert online.learner.judged == 1
    online.deliver([from_log("dec_0", quality=0.5)])
    assert (online.learner.judged, online.learner.answered) == (2, 3)


async def test_what_comes_again_from_the_log_is_not_counted_again() -> None:
    online = learner_of(DECIDED, outcome(), observation(score=0.0))
    await online.settle()
    known = quality(online)
    for _ in range(3):
        online.deliver([from_log(quality=0.0)])
    await online.settle()
    assert (online.learner.answered, online.learner.judged) == (1, 1)
    assert quality(online) == known


async def test_a_judgement_that_the_log_has_otherwise_takes_the_place_of_the_earlier_one() -> None:
    online, other = learner_of(DECIDED, outcome(), observation(score=0.0)), learner_of(DECIDED, outcome())
    online.deliver([from_log(quality=1.0)])
    other.deliver([from_log(quality=1.0)])
    for each in (online, other):
        await each.settle()
    assert online.learner.judged == 1
    assert quality(online) == pytest.approx(quality(other), abs=1e-6)


async def test_what_arrives_while_another_fit_is_taken_up_is_known_under_it() -> None:
    online = learner_of(DECIDED, outcome(), observation())
    begun, go_on = threading.Event(), threading.Event()

    def read() -> Sequence[Sample]:
        begun.set()
        assert go_on.wait(10)
        return [from_log(quality=0.5)]

    async def meanwhile() -> None:
        await asyncio.to_thread(begun.wait, 10)
        online.deliver([from_log("elsewhere", quality=0.25)])
        go_on.set()

    await asyncio.gather(online.adopt(first_fit(), samples=read), meanwhile())
    assert online.switches == 1
    assert (online.learner.answered, online.learner.judged) == (2, 2)
    online.follow(observation(score=0.75))
    assert online.learner.judged == 2, "of the same answer"


async def test_everything_stays_as_it_is_where_the_samples_of_another_fit_cannot_be_read() -> None:
    online = learner_of(DECIDED, outcome(), observation())
    before = online.learner

    def read() -> Sequence[Sample]:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await online.adopt(first_fit(), samples=read)
    assert online.learner is before
    online.deliver([from_log("later", quality=0.5)])
    assert online.learner.judged == 2


async def test_choices_of_earlier_runs_count_as_tried() -> None:
    online = OnlineLearner(charge=Charges())
    online.deliver_all([from_log("a", quality=0.5), from_log("b"), from_log("c", variant="full")])
    assert dict(online.learner.tried) == {"quantized": 2, "full": 1}
    assert (online.learner.requests, online.learner.answered, online.learner.judged) == (3, 3, 1)


async def test_times_are_predicted_by_the_model_in_force_also_under_another_fit() -> None:
    online = learner_of(DECIDED, outcome())
    asked = request(tenant="zoo", features=FEATURES)
    card_s = online.learner.estimate(asked, CANDIDATES)[0].ttft_s
    online.replace_latency(LatencyModel.from_artifact(latency_artifact("full")))
    assert online.learner.estimate(asked, CANDIDATES)[0].ttft_s == pytest.approx(2 * card_s)
    await online.adopt(first_fit())
    assert online.learner.estimate(asked, CANDIDATES)[0].ttft_s == pytest.approx(2 * card_s)
