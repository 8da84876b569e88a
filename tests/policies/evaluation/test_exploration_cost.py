"""What exploring costs is the best candidate's prediction less that of the one chosen."""

from __future__ import annotations

import msgspec
import pytest

from policies.evaluation.exploration_cost import exploration_cost
from policies.types import Exclusion, ExclusionReason
from tests.routed_worlds import routed, verdict

BEST = verdict("best", propensity=0.9, utility=0.6, quality=0.8, cost_usd=1e-3, latency_s=1.0)
OTHER = verdict("other", propensity=0.1, utility=0.5, quality=0.6, cost_usd=3e-3, latency_s=0.5)


def test_only_what_was_not_best_costs_anything() -> None:
    found = exploration_cost([*[routed("best", BEST, OTHER)] * 3, routed("other", BEST, OTHER)])
    assert (found.requests, found.explored) == (4, 1)
    assert found.utility == pytest.approx(0.1)
    assert found.points_per_request == pytest.approx(2.5)
    assert (found.quality, found.usd, found.s) == (pytest.approx(0.2), pytest.approx(2e-3), pytest.approx(-0.5))


def test_pinned_requests_and_excluded_candidates_do_not_count() -> None:
    excluded = msgspec.structs.replace(
        BEST, excluded_because=Exclusion(reason=ExclusionReason.COST, detail="too dear")
    )
    pinned = routed("other", BEST, OTHER, pinned=True)
    found = exploration_cost([pinned, routed("other", excluded, OTHER)])
    assert (found.requests, found.explored, found.utility) == (1, 0, 0.0)


def test_equals_cost_nothing() -> None:
    equal = msgspec.structs.replace(OTHER, utility=BEST.utility)
    assert exploration_cost([routed("other", BEST, equal)]).explored == 0


def test_utilities_without_a_price_are_not_added_up() -> None:
    found = exploration_cost([routed("other", BEST, OTHER, valuation=None)])
    assert (found.utility, found.points_per_request) == (None, None)
    assert found.quality == pytest.approx(0.2)


def test_nothing_costs_nothing() -> None:
    assert exploration_cost([]).points_per_request == 0.0
