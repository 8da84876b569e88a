"""The estimator in force follows the policy; whatever is wrong with one costs its part and no more."""

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
from gateway.learning import trainings
from gateway.learning.estimators import ActiveEstimator
from gateway.learning.store import EstimatorStore
from gateway.learning.tables import estimators
from gateway.policyops.active import ActivePolicy
from policies.decide import decide
from policies.errors import PolicyError
from policies.estimators.artifact import decode, encode
from policies.estimators.learned import LearnedEstimator, part_of
from policies.features.layout import VERSION
from policies.policy import LearnedUse, Policy, Trial
from policies.priorities import DEFAULT_POLICY
from policies.training.quality import fit_quality
from tests.decision_rows import sqlite_url
from tests.fitted import FEATURES, latency_artifact, length_artifact
from tests.learned_state import a_fit
from tests.policy_strategies import candidate, request
from tests.quality_worlds import NAMES, world

TTFT_S = 0.1
"""What the card says."""


class Scene:
    """A store, a policy in force, and the estimator that follows it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.store = EstimatorStore(engine)
        self.policies = ActivePolicy(DEFAULT_POLICY)
        self.active = ActiveEstimator(self.policies, engine)

    async def switch(self, name: str, estimators: dict[str, str], **changes: object) -> None:
        policy: Policy = msgspec.structs.replace(DEFAULT_POLICY, hash=name, estimators=estimators, **changes)
        self.policies.swap(policy)
        await self.active.refresh()

    def says(self, variant: str = "full") -> tuple[float, float]:
        """Seconds to the first token, and tokens."""
        [found] = self.active.current.estimate(request(features=FEATURES), [candidate(variant)])
        return round(found.ttft_s, 6), round(found.completion_tokens, 3)

    async def train(self, **better: str) -> None:
        newest = trainings.latest(self.engine, limit=1)
        trainings.record(self.engine, a_fit(after=newest[0].number if newest else 0, **better), publish=True)
        await self.active.refresh()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    engine = open_engine(sqlite_url(tmp_path / "log.sqlite"))
    upgrade(engine)
    yield Scene(engine)
    engine.dispose()


def damage(scene: Scene, name: str) -> None:
    with scene.engine.begin() as connection:
        connection.execute(sa.update(estimators).where(estimators.c.hash == name).values(data=b"\x81"))


async def test_before_any_training_the_card_answers(scene: Scene) -> None:
    await scene.active.refresh()
    assert scene.says() == (TTFT_S, 64.0)
    assert scene.active.stats.in_force == {}


async def test_what_a_training_puts_in_force_decides_whatever_document_is_published_after_it(scene: Scene) -> None:
    names = {"latency": scene.store.put(latency_artifact("full")), "length": scene.store.put(length_artifact("full"))}
    await scene.train(**names)
    assert scene.says() == (2 * TTFT_S, 100.0)
    await scene.switch("another document", {})
    assert scene.says() == (2 * TTFT_S, 100.0)
    assert scene.active.stats.in_force == names


async def test_a_policy_pins_a_kind_and_leaves_the_others(scene: Scene) -> None:
    names = {"latency": scene.store.put(latency_artifact("full")), "length": scene.store.put(length_artifact("full"))}
    await scene.train(**names)
    pinned = scene.store.put(length_artifact("full", tokens=50.0))
    await scene.switch("pins", {"length": pinned})
    assert scene.says() == (2 * TTFT_S, 50.0)
    await scene.train(length=scene.store.put(length_artifact("full", tokens=70.0)))
    assert scene.says() == (2 * TTFT_S, 50.0)
    await scene.switch("pins nothing", {})
    assert scene.says() == (2 * TTFT_S, 70.0)


async def test_a_policy_that_wants_nothing_learned_is_decided_by_the_card(scene: Scene) -> None:
    await scene.train(length=scene.store.put(length_artifact("full")))
    await scene.switch("none", {}, learning=LearnedUse.NONE)
    assert scene.says() == (TTFT_S, 64.0)
    await scene.switch("some", {})
    assert scene.says() == (TTFT_S, 100.0)


async def test_what_is_in_force_stays_while_the_database_is_away(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.train(length=scene.store.put(length_artifact("full")))

    def gone(_: Engine) -> dict[str, str]:
        raise sa.exc.OperationalError("SELECT", {}, Exception("gone"))

    with caplog.at_level(logging.WARNING), monkeypatch.context() as patched:
        patched.setattr(trainings, "in_force", gone)
        await scene.active.refresh()
        await scene.active.refresh()
        assert scene.says() == (TTFT_S, 100.0)
    await scene.active.refresh()
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "what was learned cannot be followed",
        "what was learned cannot be followed",
    ], "once that it cannot, once that it can again"


async def test_a_damaged_estimator_costs_only_its_part_and_is_counted(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    names = {"latency": scene.store.put(latency_artifact("full")), "length": scene.store.put(length_artifact("full"))}
    damage(scene, names["length"])
    with caplog.at_level(logging.ERROR):
        await scene.switch("one", names)
    assert scene.says() == (2 * TTFT_S, 64.0)
    assert scene.active.stats.failures == 1
    assert "length estimator" in caplog.text
    await scene.active.refresh()
    assert scene.active.stats.failures == 1, "told once"


async def test_the_last_good_one_stays_while_its_successor_cannot_be_used(scene: Scene) -> None:
    good = scene.store.put(length_artifact("full", tokens=100.0))
    await scene.switch("one", {"length": good})
    await scene.switch("two", {"length": "0" * 32})
    assert scene.says() == (TTFT_S, 100.0)
    assert scene.active.stats.in_force == {"length": good}


async def test_an_estimator_that_both_policies_name_is_not_loaded_again(scene: Scene) -> None:
    name = scene.store.put(length_artifact("full"))
    await scene.switch("one", {"length": name})
    damage(scene, name)
    await scene.switch("two", {"length": name})
    assert (scene.says()[1], scene.active.stats.failures) == (100.0, 0)


async def test_a_variant_on_trial_begins_as_its_parent(scene: Scene) -> None:
    names = {"latency": scene.store.put(latency_artifact("full"))}
    await scene.switch("one", names, trials=(Trial(variant="newcomer", parent="full"),))
    assert scene.says("newcomer") == scene.says("full")


async def test_a_variant_that_is_no_longer_on_trial_is_forgotten(scene: Scene) -> None:
    here = world(60, seed=0)
    model = fit_quality(here.features, here.judged(seed=1), variants=NAMES)
    names = {"quality": scene.store.put(model.to_artifact(layout=VERSION, facts={}))}
    await scene.switch("one", names, trials=(Trial(variant="newcomer", parent="full"),))
    quality = scene.active.quality
    assert quality is not None
    assert quality.names == (*NAMES, "newcomer")
    await scene.switch("two", names)
    assert scene.active.quality is quality, "what it learned since is kept"
    assert quality.names == NAMES


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_whatever_bytes_an_estimator_is_made_of_a_request_is_decided(data: st.DataObject) -> None:
    artifact = data.draw(st.sampled_from([latency_artifact("full", "tiny"), length_artifact("full")]))
    raw = bytearray(encode(artifact))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=30)):
        raw[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(raw)))
    try:
        part = part_of(decode(bytes(raw[:cut]), kind=artifact.kind, layout=VERSION))
    except PolicyError:
        return  # Refused when it is loaded: the card answers.
    candidates = [candidate("full"), candidate("tiny")]
    estimator = LearnedEstimator.of([part], parents={"tiny": "full"})
    decision = decide(
        request(features=FEATURES), candidates, DEFAULT_POLICY, estimator=estimator, rng=np.random.default_rng(0)
    )
    assert decision.choice in {"full", "tiny"}
    assert sum(decision.propensities.values()) == pytest.approx(1.0)
