"""The composed estimator: the card's where nothing was fitted, the parent's for one on trial, never nonsense."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.estimators.artifact import Artifact, decode, encode
from policies.estimators.base import is_sound
from policies.estimators.card import CardEstimator
from policies.estimators.latency import LatencyModel
from policies.estimators.learned import LearnedEstimator
from policies.estimators.length import LengthModel
from policies.features.layout import VERSION
from policies.types import Candidate, RoutingRequest
from tests.fitted import FEATURES, latency_artifact, length_artifact
from tests.policy_strategies import candidate, candidate_sets, request, requests

LENGTH = LengthModel.from_artifact(length_artifact("full", "quantized"))
LATENCY = LatencyModel.from_artifact(latency_artifact("full", "quantized"))


class Fixed:
    """Knows one variant, and says of it what it was told."""

    names = ("full",)

    def __init__(self, quality: float, se: float = 0.1) -> None:
        self.said = np.array([quality]), np.array([se])

    def predict(self, features: object, *, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        return tuple(np.repeat(said, len(names)) for said in self.said)


@given(requests, candidate_sets())
def test_with_nothing_fitted_every_estimate_is_the_cards(
    request: RoutingRequest, candidates: tuple[Candidate, ...]
) -> None:
    learned = LearnedEstimator().estimate(request, candidates)
    for mine, card in zip(learned, CardEstimator().estimate(request, candidates), strict=True):
        assert mine.latency_s == pytest.approx(card.latency_s, rel=1e-5)
        assert mine.ttft_s == mine.ttft_high_s == pytest.approx(card.ttft_s, rel=1e-5)
        assert mine.cost_usd == pytest.approx(card.cost_usd, rel=1e-4, abs=1e-9)
        assert (mine.quality, mine.completion_tokens) == (card.quality, card.completion_tokens)


def test_without_features_only_the_times_are_learned() -> None:
    estimator = LearnedEstimator(quality=Fixed(0.9), length=LENGTH, latency=LATENCY)
    [learned] = estimator.estimate(request(features=None), [candidate("full")])
    [card] = CardEstimator().estimate(request(), [candidate("full")])
    assert (learned.quality, learned.completion_tokens) == (card.quality, card.completion_tokens)
    assert learned.ttft_s == pytest.approx(2 * card.ttft_s)


def test_a_variant_on_trial_is_estimated_as_its_parent_by_its_own_card() -> None:
    estimator = LearnedEstimator(quality=Fixed(0.9), length=LENGTH, latency=LATENCY, parents={"trial": "full"})
    mine, trial, unknown = estimator.estimate(
        request(features=FEATURES), [candidate("full"), candidate("trial"), candidate("stranger")]
    )
    assert trial == mine
    [card] = CardEstimator().estimate(request(), [candidate("stranger")])
    assert (unknown.quality, unknown.ttft_s) == pytest.approx((card.quality, card.ttft_s))
    assert mine.quality == 0.9


@pytest.mark.parametrize("said", [np.nan, np.inf])
def test_a_figure_that_is_none_gives_way_to_the_cards(said: float) -> None:
    estimator = LearnedEstimator(quality=Fixed(0.5, se=said))
    [learned] = estimator.estimate(request(features=FEATURES), [candidate("full")])
    assert learned.quality == candidate().profile.quality


@given(requests, candidate_sets(), st.integers(0, 2**32 - 1))
def test_whatever_arrays_pass_the_checks_estimates_are_sound(
    asked: RoutingRequest, candidates: tuple[Candidate, ...], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    length = _wild(length_artifact("full", "quantized", "tiny"), rng, bias=1e6, surface=1e6, groups=1e6)
    latency = _wild(latency_artifact("full", "quantized", "tiny"), rng, ttft=1e3, tpot=1e3)
    estimator = LearnedEstimator(
        length=LengthModel.from_artifact(length), latency=LatencyModel.from_artifact(latency)
    )
    asked = request(features=FEATURES, prompt_tokens=asked.prompt_tokens, max_completion_tokens=2)
    assert all(is_sound(estimate) for estimate in estimator.estimate(asked, candidates))


def _wild(artifact: Artifact, rng: np.random.Generator, **high: float) -> Artifact:
    """The artifact with arrays anywhere within their ranges, as they come back from storage."""
    low = {"ttft": 0.0, "tpot": 0.0}
    for name, bound in high.items():
        shape = artifact.arrays[name].shape
        artifact.arrays[name] = rng.uniform(low.get(name, -bound), bound, shape).astype(np.float32)
    return decode(encode(artifact), kind=artifact.kind, layout=VERSION)
