"""Values refuse what could not be decided on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given

from policies.objective import Limits, Weights
from tests.policy_strategies import limits


@pytest.mark.parametrize("speed", [0.0, math.nan, math.inf])
def test_weights_must_be_comparable(speed: float) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Weights(speed=speed)


def test_weights_whose_sum_overflows_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Weights(speed=1e308, cost=1e308)


@given(limits, limits)
def test_tightening_is_the_stricter_of_both_and_the_order_does_not_matter(a: Limits, b: Limits) -> None:
    both = a.tightened(b)
    assert both == b.tightened(a)
    for name in ("ttft_s", "latency_s", "max_cost_usd"):
        stated = [limit for limit in (getattr(a, name), getattr(b, name)) if limit is not None]
        assert getattr(both, name) == min(stated, default=None)
    floors = [limit for limit in (a.min_quality, b.min_quality) if limit is not None]
    assert both.min_quality == max(floors, default=None)
