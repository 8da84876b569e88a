"""What is believed of candidates: sound or refused, and drawn the same way every time."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from policies.belief import DRAWS, Estimates, of_estimates, standard_draws
from policies.decide import decide
from tests.beliefs import Believing, changed
from tests.policy_strategies import GREEDY, candidate, estimate, request

TWO = [estimate(quality=0.9, quality_se=0.1), estimate(quality=0.5)]


def test_draws_are_standard_normal_and_come_with_their_mirror_image() -> None:
    draws = standard_draws(3)
    assert draws.shape == (3, DRAWS)
    np.testing.assert_array_equal(draws[:, ::2], -draws[:, 1::2])
    np.testing.assert_allclose(draws.std(axis=1), 1.0, atol=0.05)
    np.testing.assert_allclose(np.corrcoef(draws), np.eye(3), atol=0.07)
    assert standard_draws(3) is draws


def test_single_figures_are_levels_apart_from_each_other() -> None:
    belief = of_estimates(TWO)
    assert belief.level.tolist() == [0.9, 0.5]
    assert belief.draws[0].std() == pytest.approx(0.1, rel=0.05)
    assert not belief.draws[1].any()
    assert not belief.shift.any()
    assert math.isinf(belief.tried.min()), "no early answers are forced for it"


def test_estimates_are_a_tuple_that_carries_the_belief() -> None:
    belief = of_estimates(TWO)
    found = Estimates(TWO, belief)
    assert list(found) == TWO
    assert found.belief is belief


@pytest.mark.parametrize("absurd", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["level", "shift", "usd", "latency_s"])
def test_a_figure_that_is_not_finite_hands_the_decision_to_the_static_order(name: str, absurd: float) -> None:
    assert not changed(TWO, **{name: [0.5, absurd]}).is_sound(2)
    told = dict(zip(("full", "tiny"), TWO, strict=True))
    decision = decide(
        request(),
        [candidate("full"), candidate("tiny")],
        msgspec.structs.replace(GREEDY, fallback=("tiny",)),
        estimator=Believing(told, **{name: [0.5, absurd]}),
        rng=np.random.default_rng(0),
    )
    assert (decision.choice, decision.fallback_used) == ("tiny", True)


def test_a_belief_about_other_candidates_is_not_sound() -> None:
    assert of_estimates(TWO).is_sound(2)
    assert not of_estimates(TWO).is_sound(3)
    assert not changed(TWO, draws=standard_draws(3)).is_sound(2)
