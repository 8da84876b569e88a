"""Requests are counted in bins that a person can name, few enough to be drawn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.evaluation.learning_figures import learning_figures
from policies.evaluation.shares import MAX_BINS, shares_over_time
from tests.routed_worlds import START_S, routed, routed_world, verdict

CHOSEN = verdict("a", propensity=1.0)


@given(
    st.lists(st.floats(0.0, 4e7), min_size=1, max_size=50),
    st.floats(1.0, 4e7),
)
def test_every_request_of_the_period_is_counted_once(after_s: list[float], period_s: float) -> None:
    requests = [routed("a", CHOSEN, created_at_s=START_S + s) for s in after_s]
    found = shares_over_time(requests, since_s=START_S, until_s=START_S + period_s)
    inside = sum(START_S <= request.created_at_s <= START_S + period_s for request in requests)
    assert sum(map(sum, found.counts.values())) == inside
    assert len(found.begins_s) <= MAX_BINS
    assert all(len(counts) == len(found.begins_s) for counts in found.counts.values())


def test_bins_begin_at_round_times_and_tell_the_variants_apart() -> None:
    requests = [routed("ab"[number % 2], CHOSEN, number=number * 60) for number in range(60)]
    found = shares_over_time(requests, since_s=START_S, until_s=START_S + 3600)
    assert found.width_s == 300.0
    assert all(begins % 300.0 == 0.0 for begins in found.begins_s)
    assert sum(found.counts["a"]) == sum(found.counts["b"]) == 30


def test_pinned_requests_say_nothing_about_routing() -> None:
    found = shares_over_time([routed("a", CHOSEN, pinned=True)], since_s=START_S, until_s=START_S + 60)
    assert found.counts == {}


def test_all_figures_of_a_log_agree_on_what_it_holds() -> None:
    world = routed_world(1, rows=200)
    found = learning_figures(world.requests, since_s=START_S, until_s=START_S + 200 * 60)
    assert (found.requests, found.answered, found.judged, found.pinned, found.forced) == (200, 200, 200, 0, 0)
    assert sum(one.chosen for one in found.variants) == 200
    assert sum(map(sum, found.shares.counts.values())) == 200
    assert found.fixed.rows == found.drawn_cost.requests == 200
    assert found.forced_cost.requests == 0
    assert found.drawn_cost.points_per_request == pytest.approx(
        100 * (found.drawn_cost.utility or 0.0) / found.drawn_cost.requests
    )
