"""The estimator in force follows the policy; whatever is wrong with one costs its part and no more."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.learning.estimators import ActiveEstimator
from gateway.learning.store import EstimatorStore
from gateway.policyops.active import ActivePolicy
from policies.decide import decide
from policies.errors import PolicyError
from policies.estimators.artifact import decode, encode
from policies.estimators.learned import LearnedEstimator, part_of
from policies.features.layout import VERSION
from policies.policy import Policy, Trial
from policies.priorities import DEFAULT_POLICY
from policies.training.quality import fit_quality
from tests.fitted import FEATURES, latency_artifact, length_artifact
from tests.policy_strategies import candidate, request
from tests.quality_worlds import NAMES, world

TTFT_S = 0.1
"""What the card says."""


class Scene:
    """A store, a policy in force, and the estimator that follows it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = EstimatorStore(directory)
        self.policies = ActivePolicy(DEFAULT_POLICY)
        self.active = ActiveEstimator(self.policies, self.store)

    async def switch(self, name: str, estimators: dict[str, str], **changes: object) -> None:
        policy: Policy = msgspec.structs.replace(DEFAULT_POLICY, hash=name, estimators=estimators, **changes)
        self.policies.swap(policy)
        await self.active.refresh()

    def says(self, variant: str = "full") -> tuple[float, float]:
        """Seconds to the first token, and tokens."""
        [found] = self.active.current.estimate(request(features=FEATURES), [candidate(variant)])
        return round(found.ttft_s, 6), round(found.completion_tokens, 3)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_before_any_training_the_card_answers(scene: Scene) -> None:
    await scene.active.refresh()
    assert scene.says() == (TTFT_S, 64.0)
    assert scene.active.stats.in_force == {}


async def test_a_published_policy_brings_its_estimators_and_a_later_one_takes_them_away(scene: Scene) -> None:
    names = {"latency": scene.store.put(latency_artifact("full")), "length": scene.store.put(length_artifact("full"))}
    await scene.switch("one", names)
    assert scene.says() == (2 * TTFT_S, 100.0)
    assert scene.active.stats.in_force == names
    await scene.switch("two", {})
    assert scene.says() == (TTFT_S, 64.0)


async def test_a_damaged_estimator_costs_only_its_part_and_is_counted(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    names = {"latency": scene.store.put(latency_artifact("full")), "length": scene.store.put(length_artifact("full"))}
    (scene.directory / names["length"]).write_bytes(b"\x81")
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
    (scene.directory / name).unlink()
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
