"""A limit moves until what really happens keeps the promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.promises.held import LEAST_AIM, LOOSEST, STEP, TIGHTEST, HeldLimit


@pytest.mark.parametrize("error", [0.8, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("aim", [0.02, 0.05, 0.1])
def test_the_share_of_broken_promises_comes_to_its_aim_however_far_the_predictions_are_off(
    error: float, aim: float
) -> None:
    rng, held, broken = np.random.default_rng(0), HeldLimit(1.0), 0
    for _ in range(5000):
        took_s = held.value(spare=aim) * error * float(rng.lognormal(-0.4, 0.4))
        broken += held.broke(took_s)
        held.learn(took_s, spare=aim)
    bound = (LOOSEST - TIGHTEST + STEP) / (STEP * 5000)
    assert abs(broken / 5000 - aim) <= bound


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1))))
def test_whatever_happens_the_limit_stays_in_its_range(answers: list[tuple[float, float]]) -> None:
    held = HeldLimit(2.0)
    for took_s, spare in answers:
        held.learn(took_s, spare=spare)
        assert 2.0 * math.exp(TIGHTEST) <= held.value(spare=1.0) <= 2.0 * math.exp(LOOSEST) + 1e-9
        assert held.value(spare=0.0) <= 2.0


def test_one_late_answer_is_forgiven_in_time_even_where_none_may_be_late() -> None:
    held = HeldLimit(1.0)
    held.learn(5.0, spare=0.0)
    assert held.value(spare=0.0) < 1.0
    for _ in range(math.ceil(1 / LEAST_AIM)):
        held.learn(0.1, spare=0.0)
    assert held.value(spare=0.0) == 1.0
