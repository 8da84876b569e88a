"""What is in force follows the policy and the trainings; whatever is wrong with a part costs that part alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.decisions.write import insert
from gateway.learning import trainings
from gateway.learning.estimators import ANSWERS, LATENCY, ActiveEstimator
from gateway.learning.online import OnlineLearner
from gateway.learning.store import EstimatorStore
from gateway.learning.tables import estimators
from gateway.policyops.active import ActivePolicy
from policies.decide import decide
from policies.errors import PolicyError
from policies.estimators.artifact import Artifact, decode, encode
from policies.estimators.card import CardEstimator
from policies.estimators.latency import CARD, LatencyModel
from policies.features.layout import VERSION
from policies.learner.fit import Fit, first_fit
from policies.learner.learner import Learner
from policies.policy import LearnedUse, Policy, Trial
from policies.priorities import DEFAULT_POLICY
from policies.training.answers import fit_answers
from tests.decision_rows import sqlite_url
from tests.fitted import FEATURES, latency_artifact
from tests.learned_state import a_fit
from tests.policy_strategies import candidate, request
from tests.training_log import rows_of
from tests.training_rows import samples

TTFT_S = 0.1
"""What the card says."""


class Scene:
    """A store, a policy in force, and what follows both."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.store = EstimatorStore(engine)
        self.policies = ActivePolicy(DEFAULT_POLICY)
        self.online = OnlineLearner(charge=lambda _tenant, _usd: None)
        self.active = ActiveEstimator(self.policies, engine, online=self.online, variants=["full", "quantized"])

    async def switch(self, name: str, estimators: dict[str, str], **changes: object) -> None:
        policy: Policy = msgspec.structs.replace(DEFAULT_POLICY, hash=name, estimators=estimators, **changes)
        self.policies.swap(policy)
        await self.active.refresh()

    def ttft_s(self, variant: str = "full") -> float:
        [found] = self.active.current.estimate(request(features=FEATURES), [candidate(variant)])
        return round(found.ttft_s, 6)

    @property
    def fit(self) -> str:
        """Hash of the fit under which requests are seen."""
        return self.online.learner.fit.hash

    async def train(self, **better: str) -> int:
        """Put these in force; the number of the training."""
        newest = trainings.latest(self.engine, limit=1)
        fit = a_fit(after=newest[0].number if newest else 0, **better)
        number = trainings.record(self.engine, fit, publish=True).number
        await self.active.refresh()
        return number


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    engine = open_engine(sqlite_url(tmp_path / "log.sqlite"))
    upgrade(engine)
    yield Scene(engine)
    engine.dispose()


def answers_artifact(seed: int = 0, *, rows: int = 60) -> Artifact:
    """A fit on some requests."""
    return fit_answers(samples(rows, seed=seed), start=first_fit(), directions=1).to_artifact(
        variants=("full",), facts={"rows": seed}
    )


def damage(scene: Scene, name: str) -> None:
    with scene.engine.begin() as connection:
        connection.execute(sa.update(estimators).where(estimators.c.hash == name).values(data=b"\x81"))


async def test_before_any_training_the_learner_decides_with_what_it_assumes(scene: Scene) -> None:
    await scene.active.refresh()
    assert scene.active.current is scene.online.learner
    assert (scene.fit, scene.ttft_s(), scene.active.stats.in_force) == ("", TTFT_S, {})


async def test_what_a_training_puts_in_force_decides_whatever_document_is_published_after_it(scene: Scene) -> None:
    names = {LATENCY: scene.store.put(latency_artifact("full")), ANSWERS: scene.store.put(answers_artifact())}
    await scene.train(**names)
    for document in ("one", "two"):
        await scene.switch(document, {})
        assert (scene.fit, scene.ttft_s()) == (names[ANSWERS], 2 * TTFT_S)
        assert scene.active.stats.in_force == names


async def test_a_policy_pins_a_kind_and_leaves_the_others(scene: Scene) -> None:
    names = {LATENCY: scene.store.put(latency_artifact("full")), ANSWERS: scene.store.put(answers_artifact())}
    await scene.train(**names)
    pinned = scene.store.put(answers_artifact(1))
    await scene.switch("pins", {ANSWERS: pinned})
    assert (scene.fit, scene.ttft_s()) == (pinned, 2 * TTFT_S)
    newer = scene.store.put(answers_artifact(2))
    await scene.train(**{ANSWERS: newer})
    assert scene.fit == pinned
    await scene.switch("pins nothing", {})
    assert (scene.fit, scene.ttft_s()) == (newer, 2 * TTFT_S)


async def test_a_policy_that_wants_nothing_learned_is_decided_by_the_card(scene: Scene) -> None:
    await scene.train(
        **{LATENCY: scene.store.put(latency_artifact("full")), ANSWERS: scene.store.put(answers_artifact())}
    )
    learner = scene.online.learner
    await scene.switch("none", {}, learning=LearnedUse.NONE)
    assert isinstance(scene.active.current, CardEstimator)
    assert (scene.ttft_s(), scene.active.stats.in_force) == (TTFT_S, {})
    await scene.switch("some", {})
    assert scene.active.current is learner, "it went on learning meanwhile"
    assert scene.ttft_s() == 2 * TTFT_S


async def test_an_operator_turns_off_what_was_learned_and_on_again(scene: Scene) -> None:
    number = await scene.train(**{LATENCY: scene.store.put(latency_artifact("full"))})
    learner = scene.online.learner
    author = trainings.Author(name="ann", reason="a try")
    trainings.turn_off(scene.engine, author=author)
    await scene.active.refresh()
    assert isinstance(scene.active.current, CardEstimator)
    trainings.promote(scene.engine, number, author=author)
    await scene.active.refresh()
    assert scene.active.current is learner
    assert scene.ttft_s() == 2 * TTFT_S


async def test_another_fit_knows_what_the_log_holds(scene: Scene) -> None:
    rows = samples(40)
    insert(scene.engine, [row for n, sample in enumerate(rows) for row in rows_of(sample, f"dec_{n}")])
    await scene.train(**{ANSWERS: scene.store.put(answers_artifact())})
    assert (scene.online.learner.answered, scene.online.learner.judged) == (40, 40)


async def test_what_is_in_force_stays_while_the_database_is_away(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.train(**{LATENCY: scene.store.put(latency_artifact("full"))})

    def gone(_: Engine) -> dict[str, str]:
        raise sa.exc.OperationalError("SELECT", {}, Exception("gone"))

    with caplog.at_level(logging.WARNING), monkeypatch.context() as patched:
        patched.setattr(trainings, "in_force", gone)
        await scene.active.refresh()
        await scene.active.refresh()
        assert scene.ttft_s() == 2 * TTFT_S
    await scene.active.refresh()
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "what was learned cannot be followed",
        "what was learned cannot be followed",
    ], "once that it cannot, once that it can again"


async def test_a_damaged_artifact_costs_only_its_part_and_is_counted_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    names = {LATENCY: scene.store.put(latency_artifact("full")), ANSWERS: scene.store.put(answers_artifact())}
    damage(scene, names[ANSWERS])
    with caplog.at_level(logging.ERROR):
        await scene.train(**names)
        await scene.active.refresh()
    assert (scene.fit, scene.ttft_s()) == ("", 2 * TTFT_S)
    assert scene.active.stats.failures == 1
    assert f"estimator {names[ANSWERS]}" in caplog.text


async def test_the_last_good_one_stays_while_its_successor_cannot_be_used(scene: Scene) -> None:
    good = scene.store.put(latency_artifact("full"))
    await scene.switch("one", {LATENCY: good})
    await scene.switch("two", {LATENCY: "0" * 32})
    assert scene.ttft_s() == 2 * TTFT_S
    assert scene.active.stats.in_force == {LATENCY: good}


async def test_what_both_policies_name_is_not_taken_up_again(scene: Scene) -> None:
    names = {LATENCY: scene.store.put(latency_artifact("full")), ANSWERS: scene.store.put(answers_artifact())}
    await scene.switch("one", names)
    learner = scene.online.learner
    for name in names.values():
        damage(scene, name)
    await scene.switch("two", names)
    assert scene.online.learner is learner, "with all that it has learned since"
    assert (scene.ttft_s(), scene.active.stats.failures) == (2 * TTFT_S, 0)


async def test_a_variant_on_trial_begins_as_its_parent(scene: Scene) -> None:
    names = {LATENCY: scene.store.put(latency_artifact("full"))}
    await scene.switch("one", names, trials=(Trial(variant="newcomer", parent="full"),))
    assert scene.ttft_s("newcomer") == scene.ttft_s("full") == 2 * TTFT_S
    await scene.switch("two", names)
    assert scene.ttft_s("newcomer") == TTFT_S


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_whatever_bytes_an_artifact_is_made_of_a_request_is_decided(data: st.DataObject) -> None:
    artifact = data.draw(st.sampled_from([latency_artifact("full", "quantized"), FITTED]))
    raw = bytearray(encode(artifact))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=30)):
        raw[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(raw)))
    try:
        read = decode(bytes(raw[:cut]), kind=artifact.kind, layout=VERSION)
        fit = Fit.from_artifact(read) if artifact is FITTED else first_fit()
        latency = CARD if artifact is FITTED else LatencyModel.from_artifact(read)
    except PolicyError:
        return  # Refused when it is read: what was in force goes on.
    learner = Learner(fit, latency=latency)
    learner.absorb_all(samples(10))
    candidates = [candidate("full"), candidate("quantized")]
    decision = decide(
        request(features=FEATURES), candidates, DEFAULT_POLICY, estimator=learner, rng=np.random.default_rng(0)
    )
    assert decision.choice in {"full", "quantized"}
    assert sum(decision.propensities.values()) == pytest.approx(1.0)


FITTED = answers_artifact()
